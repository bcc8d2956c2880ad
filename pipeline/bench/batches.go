package bench

import "fmt"

var batchesPart = part{
	name: "batches", title: "Batch sizes",
	about:   "Images a second of the same training steps as above, by the number of images in a step, beside the batch that the section on training uses.",
	measure: measureBatches,
}

func measureBatches(s *session) (rows []Row, err error) {
	for _, name := range []string{"four-blocks", "residual"} {
		s.Reporter.Say("measures batch sizes of network %s", name)
		of, err := s.measureBatchesOf(name)
		if err != nil {
			return nil, err
		}
		rows = append(rows, of...)
	}
	return rows, nil
}

func (s *session) measureBatchesOf(name string) (rows []Row, err error) {
	load := workloads[name]
	sizes := []int{8, 16, 32, 64, 128, 256, 512}
	if s.Quick {
		load.batch = 4
		sizes = []int{2, load.batch}
	}
	var all []*contender
	defer func() { s.closeAll(all) }()
	usual := 0
	for i, size := range sizes {
		c, err := ours(s, fmt.Sprintf("ours, batch %d", size), assignment{Kind: "train", Network: name, Batch: size})
		if err != nil {
			return nil, err
		}
		all = append(all, c)
		if size == load.batch {
			usual = i
		}
	}
	samples, err := rates(s, all, min(3, s.rounds()), s.longTurn())
	if err != nil {
		return nil, err
	}
	for i, size := range sizes {
		if i != usual {
			rows = append(rows, more(fmt.Sprintf("%s, batch %d", load.label, size), "images/s", samples[i], all[usual].name, samples[usual]))
		}
	}
	return rows, nil
}
