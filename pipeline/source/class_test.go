package source

import "testing"

func TestClass(t *testing.T) {
	for path, want := range map[string]string{
		"train/cat.0.jpg":         "cat",
		"train/Dog.12.JPEG":       "dog",
		"train/red panda.7.png":   "red panda",
		"cat.0.jpg":               "cat",
		"Cat/0.jpg":               "cat",
		"PetImages/Dog/1.jpg":     "dog",
		"Dog/IMG.2020.jpg":        "dog",
		"fox/0001":                "fox",
		"ÄFFIN/1.jpg":             "äffin",
		"k\xe4TZE/1.jpg":          "k\xe4tze",
		"train/photo.jpg":         "",
		"train/cat.0.jpg.txt":     "",
		"photo.jpg":               "",
		"Cat/Thumbs.db":           "",
		"Cat/.hidden.jpg":         "",
		"readme[1].txt":           "",
		"unclassed/test1/1.jpg":   "",
		"unclassed/cat.1.jpg":     "",
		"unclassedness/cat.1.jpg": "unclassedness",
	} {
		got, ok := Class(path)
		if got != want || ok != (want != "") {
			t.Errorf("Class(%q) = %q, %v, not %q", path, got, ok, want)
		}
	}
}
