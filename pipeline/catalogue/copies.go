package catalogue

import (
	"slices"
	"strconv"
	"strings"

	"catdog/pipeline/artifact"
)

// copies are good photos with the same bytes, two or more.
type copies struct {
	sha256 string
	rows   []Row
	// classes are those that the photos carry, sorted.
	classes []string
}

// findCopies finds exact copies, in the order of their first paths.
func findCopies(rows []Row) []copies {
	groups := map[string][]Row{}
	for _, row := range rows {
		if row.Good() {
			groups[row.SHA256] = append(groups[row.SHA256], row)
		}
	}
	var found []copies
	for _, row := range rows {
		group := groups[row.SHA256]
		if len(group) < 2 || group[0].Path != row.Path {
			continue
		}
		var classes []string
		for _, copy := range group {
			classes = append(classes, copy.Class)
		}
		slices.Sort(classes)
		found = append(found, copies{row.SHA256, group, slices.Compact(classes)})
	}
	return found
}

// writeCopies writes copies.csv: a row a photo that has copies, the copies of
// one photo behind each other. classes are those that these copies carry,
// joined by +: more than one is a contradiction.
func writeCopies(path string, found []copies) error {
	return WriteCSV(path, []string{"sha256", "copies", "classes", "class", "path"}, func(write func(...string)) {
		for _, group := range found {
			for _, row := range group.rows {
				write(group.sha256, strconv.Itoa(len(group.rows)), artifact.EscapePath(strings.Join(group.classes, "+")),
					artifact.EscapePath(row.Class), artifact.EscapePath(row.Path))
			}
		}
	})
}
