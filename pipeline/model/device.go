package model

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"catdog/pipeline/device"
	"catdog/pipeline/device/cpu"
	"catdog/pipeline/device/cpu/isa"
	"catdog/pipeline/params"
	"catdog/pipeline/stage"
)

// openGPU opens the GPU for section train; builds with the tag gpu set it.
var openGPU func(params.Train) (device.Device, error)

// Device opens the device that section train of params.yaml asks for. A build
// that knows GPUs says which one it took, and why it is not the GPU.
func Device(p params.Train) (device.Device, error) { return open(p, openGPU) }

// DeviceFor opens the device that a job's output is keyed by: what was decided
// when the key was computed is not decided again.
func DeviceFor(job *stage.Job) (device.Device, error) {
	p, gpu := job.Params.Train, openGPU
	if strings.HasPrefix(job.Engine, "gpu ") {
		p.Device = "gpu"
	} else if job.NoGPU != nil {
		gpu = func(params.Train) (device.Device, error) { return nil, job.NoGPU }
	}
	d, err := open(p, gpu)
	if err != nil {
		return nil, err
	}
	if job.Engine != "" && !strings.HasPrefix(d.Describe()+" ", job.Engine+" ") {
		err := fmt.Errorf("opened %q, planned was %q; run make again", d.Describe(), job.Engine)
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func open(p params.Train, gpu func(params.Train) (device.Device, error)) (device.Device, error) {
	if gpu == nil && p.Device == "gpu" {
		return nil, errors.New("train.device: gpu: this build has none (make GPU=1 makes one that does); auto or cpu trains on the CPU")
	}
	why := "train.device is cpu"
	if gpu != nil && p.Device != "cpu" {
		d, err := gpu(p)
		if err == nil {
			fmt.Fprintf(os.Stderr, "device    %s\n", d.Describe())
			return d, nil
		}
		if p.Device == "gpu" {
			return nil, fmt.Errorf("train.device: gpu: %w", err)
		}
		why = err.Error()
	}
	options := cpu.Options{Threads: p.Threads, Precision: isa.Precision(p.Precision)}
	if p.Convolution == isa.Direct {
		options.Winograd = cpu.Never
	}
	d, err := cpu.New(options)
	if err != nil {
		return nil, fmt.Errorf("train.device: %w", err)
	}
	if gpu != nil {
		fmt.Fprintf(os.Stderr, "device    %s (%s)\n", d.Describe(), why)
	}
	return d, nil
}
