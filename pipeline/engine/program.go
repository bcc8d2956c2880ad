package engine

import (
	"cmp"
	"fmt"

	"gorgonia.org/gorgonia"

	"catdog/pipeline/device"
	"catdog/pipeline/op"
)

// A program is a compiled graph.
type program struct {
	graph  *op.Graph
	vm     gorgonia.VM
	logits device.Vector
	known  bool // the tape machine has run it with the values that are bound
}

// compile checks that gorgonia keeps all nodes apart: it merges those whose
// 32-bit hashes are equal.
func compile(g *op.Graph, logits *gorgonia.Node) (*program, error) {
	seen := map[uint32]*gorgonia.Node{}
	for _, n := range g.AllNodes() {
		if other, twice := seen[n.Hashcode()]; twice {
			return nil, fmt.Errorf("nodes %v and %v have the same hash", n, other)
		}
		seen[n.Hashcode()] = n
	}
	compiled, locations, err := gorgonia.Compile(g.ExprGraph)
	if err != nil {
		return nil, fmt.Errorf("compile the graph: %w", err)
	}
	vm := gorgonia.NewTapeMachine(g.ExprGraph, gorgonia.WithPrecompiled(compiled, locations))
	return &program{graph: g, vm: vm, logits: logits.Op().(op.Result).Value().(*op.Vector).On}, nil
}

// run runs the graph and downloads the logits.
func (p *program) run(logits []float32) error {
	if err := p.execute(); err != nil {
		return err
	}
	p.logits.Download(logits)
	return nil
}

// execute runs the graph: the first time by the tape machine, then by
// repeating what that did.
func (p *program) execute() error {
	if p.known {
		if err := p.graph.Repeat(); err != nil {
			return err
		}
	} else {
		p.graph.Record()
		p.vm.Reset()
		if err := p.vm.RunAll(); err != nil {
			return cmp.Or(p.graph.Err, err)
		}
		p.known = true
	}
	p.graph.Changed = false
	return nil
}
