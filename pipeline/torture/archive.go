package main

import (
	"archive/zip"
	"errors"
	"os"
)

// zipFolder packs a folder's files.
func zipFolder(folder, archive string) (err error) {
	file, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	writer := zip.NewWriter(file)
	return errors.Join(writer.AddFS(os.DirFS(folder)), writer.Close())
}
