package source

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// trainFolder is the folder of Kaggle's layout, in which the class is part of
// the file's name. unclassedFolder takes photos that no class can be told of.
const (
	trainFolder     = "train"
	unclassedFolder = "unclassed"
)

// kaggleName is CLASS.NUMBER.ENDING.
var kaggleName = regexp.MustCompile(`^([^.]+)\.[0-9]+\.[^.]+$`)

// photoEndings are what names of photos end in. A name without an ending may be
// a photo too; whether it is one, its content tells.
var photoEndings = []string{
	"", ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff",
	".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".ppm", ".pgm",
}

// isPhoto says whether a file's name may be that of a photo.
func isPhoto(name string) bool {
	base := path.Base(name)
	return !strings.HasPrefix(base, ".") && slices.Contains(photoEndings, strings.ToLower(path.Ext(base)))
}

// kaggleClass is CLASS of CLASS.NUMBER.ENDING.
func kaggleClass(base string) (string, bool) {
	if match := kaggleName.FindStringSubmatch(base); match != nil {
		return lower(match[1]), true
	}
	return "", false
}

// lower is strings.ToLower for names that may not be UTF-8.
func lower(name string) string {
	if utf8.ValidString(name) {
		return strings.ToLower(name)
	}
	bytes := []byte(name)
	for i, b := range bytes {
		if 'A' <= b && b <= 'Z' {
			bytes[i] = b + 'a' - 'A'
		}
	}
	return string(bytes)
}

// Class is the class of a raw photo, told from its slash-separated path within
// the raw folder: "cat" for train/cat.0.jpg (Kaggle's layout), Cat/0.jpg and
// PetImages/Cat/0.jpg (a folder a class). It is false for what belongs to no
// class, such as Thumbs.db and readme files.
func Class(name string) (string, bool) {
	folder, base := path.Split(name)
	folder = strings.TrimSuffix(folder, "/")
	if !isPhoto(base) || folder == unclassedFolder || strings.HasPrefix(folder, unclassedFolder+"/") {
		return "", false
	}
	if folder == "" || folder == trainFolder {
		return kaggleClass(base)
	}
	return lower(path.Base(folder)), true
}
