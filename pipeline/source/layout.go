package source

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// arrange says where each file of one source belongs in the raw folder: files
// in Kaggle's layout as train/CLASS.NUMBER.ENDING, others as CLASS/… without
// the folders around all classes, and photos of no class as unclassed/….
// folders are the source's folders, empty ones too.
func arrange(files, folders []string) (map[string]string, error) {
	kaggle := kaggleFolders(files)
	targets := make(map[string]string, len(files))
	if len(kaggle) > 0 {
		for _, file := range files {
			folder, base := path.Dir(file), path.Base(file)
			_, named := kaggleClass(base)
			switch {
			case kaggle[folder] && (named || !isPhoto(base)):
				targets[file] = path.Join(trainFolder, base)
			case isPhoto(base):
				targets[file] = path.Join(unclassedFolder, file)
			default:
				targets[file] = file
			}
		}
		return targets, nil
	}

	classes, err := classFolders(files)
	if err != nil {
		return nil, err
	}
	around := commonFolder(classes)
	for _, folder := range folders {
		if path.Dir(folder) == around && !hidden(folder) && !slices.ContainsFunc(classes, func(class string) bool {
			return class == folder || strings.HasPrefix(class, folder+"/")
		}) {
			return nil, fmt.Errorf("the class %q has no images: there is no photo in %s", lower(path.Base(folder)), folder)
		}
	}
	for _, file := range files {
		target := file
		if around != "." {
			target = strings.TrimPrefix(file, around+"/")
		}
		if isPhoto(file) && !slices.Contains(classes, path.Dir(file)) {
			target = path.Join(unclassedFolder, target)
		}
		targets[file] = target
	}
	return targets, nil
}

// kaggleFolders are the folders whose photos' names tell the class: the top,
// any called train, and any in which all photos are named CLASS.NUMBER.ENDING
// with at least two classes.
func kaggleFolders(files []string) map[string]bool {
	type content struct {
		classes map[string]bool
		others  int
	}
	contents := map[string]*content{}
	for _, file := range files {
		if !isPhoto(file) || hidden(file) {
			continue
		}
		folder := path.Dir(file)
		if contents[folder] == nil {
			contents[folder] = &content{classes: map[string]bool{}}
		}
		if class, ok := kaggleClass(path.Base(file)); ok {
			contents[folder].classes[class] = true
		} else {
			contents[folder].others++
		}
	}
	kaggle := map[string]bool{}
	for folder, content := range contents {
		named := folder == "." || path.Base(folder) == trainFolder
		if named && len(content.classes) > 0 || len(content.classes) > 1 && content.others == 0 {
			kaggle[folder] = true
		}
	}
	return kaggle
}

// classFolders are the folders that photos lie in, all at the same depth.
func classFolders(files []string) ([]string, error) {
	found := map[string]bool{}
	for _, file := range files {
		if folder := path.Dir(file); isPhoto(file) && !hidden(file) && folder != "." {
			found[folder] = true
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("there are no photos in folders named for classes, nor photos named like cat.0.jpg%s", packed(files))
	}
	classes := slices.Sorted(maps.Keys(found))
	for _, class := range classes {
		switch {
		case strings.Count(class, "/") != strings.Count(classes[0], "/"):
			return nil, fmt.Errorf("photos lie at different depths, in %s and in %s: give one folder a class", classes[0], class)
		case path.Base(class) == trainFolder, path.Base(class) == unclassedFolder:
			return nil, fmt.Errorf("the photos in %s tell no class: they are not named like cat.0.jpg, and no class may be called %s", class, path.Base(class))
		}
	}
	return classes, nil
}

// packed hints at archives within the source.
func packed(files []string) string {
	for _, file := range files {
		if strings.EqualFold(path.Ext(file), ".zip") {
			return fmt.Sprintf(" (but there is %s: unpack what is around it and give that)", file)
		}
	}
	return ""
}

// commonFolder is the longest path that all class folders lie in, "." if there
// is none.
func commonFolder(classes []string) string {
	common := path.Dir(classes[0])
	for _, class := range classes {
		for common != "." && !strings.HasPrefix(class, common+"/") {
			common = path.Dir(common)
		}
	}
	return common
}

// hidden says whether a path leads through a hidden folder or one of those that
// macOS adds to archives, or to a hidden file.
func hidden(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool {
		return strings.HasPrefix(part, ".") || part == "__MACOSX"
	})
}
