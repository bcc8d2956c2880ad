package params

// The sections of params.yaml, one a stage. Tags say what is allowed: `min` and
// `max` (inclusive) for numbers and for the elements of lists, `len` for the
// length of a list, `enum` for words. What each key means is written in
// params.yaml itself, beside it.

// FromDrawn, alone in Fetch.From, asks for the drawn sample.
const FromDrawn = "drawn"

// Fetch says where a data set's photos come from.
type Fetch struct {
	From   []string `yaml:"from"`
	Drawn  Drawn    `yaml:"drawn"`
	Limits Limits   `yaml:"limits"`
}

// Drawn fixes the drawn sample.
type Drawn struct {
	Images int `yaml:"images" min:"60" max:"100000"`
	Seed   int `yaml:"seed" min:"0"`
}

// Limits bound what an archive may hold.
type Limits struct {
	Files     int `yaml:"files" min:"1"`
	Megabytes int `yaml:"megabytes" min:"1"`
	Ratio     int `yaml:"ratio" min:"1"`
}

// Explore says which photos are accepted and which are called outliers.
type Explore struct {
	MinimumSide       int     `yaml:"minimum_side" min:"1" max:"1024"`
	MaximumMegapixels int     `yaml:"maximum_megapixels" min:"1" max:"1000"`
	OutlierThreshold  float64 `yaml:"outlier_threshold" min:"1" max:"100"`
}

// Resize fixes the stored images.
type Resize struct {
	Height     int    `yaml:"height" min:"8" max:"1024"`
	Width      int    `yaml:"width" min:"8" max:"1024"`
	Mode       string `yaml:"mode" enum:"stretch crop pad"`
	Background []int  `yaml:"background" min:"0" max:"255" len:"3"`
}

// Pack fixes the splits.
type Pack struct {
	Seed       int     `yaml:"seed" min:"0"`
	Validation float64 `yaml:"validation" min:"0.01" max:"0.5"`
	Test       float64 `yaml:"test" min:"0.01" max:"0.5"`
}

// Train fixes the network, its training and what computes it.
type Train struct {
	Device       string       `yaml:"device" enum:"auto cpu gpu"`
	Precision    string       `yaml:"precision" enum:"auto float32 bfloat16"`
	Convolution  string       `yaml:"convolution" enum:"winograd direct"`
	Threads      int          `yaml:"threads" min:"0" max:"1024"`
	Seed         int          `yaml:"seed" min:"0"`
	Epochs       int          `yaml:"epochs" min:"0" max:"100000"`
	Batch        int          `yaml:"batch" min:"2" max:"65536"`
	Patience     int          `yaml:"patience" min:"0"`
	From         string       `yaml:"from"`
	View         string       `yaml:"view" enum:"whole centre"`
	AverageDecay float64      `yaml:"average_decay" min:"0" max:"0.99999"`
	Network      Network      `yaml:"network"`
	Optimizer    Optimizer    `yaml:"optimizer"`
	LearningRate LearningRate `yaml:"learning_rate"`
	Augment      Augment      `yaml:"augment"`
}

// The views of a stored image that a network is shown once it is trained, and
// when it is validated.
const (
	Whole  = "whole"  // all of it, which may be larger than the network's input in training
	Centre = "centre" // the centre, as large as the network's input in training, but at least 5/6 of the sides
)

// EngineKeys are the keys of section train of which only what they come to on a
// machine counts, as far as it changes a digit: the engine's name says that.
var EngineKeys = []string{"device", "precision", "convolution", "threads"}

// Network describes the layers.
type Network struct {
	Height    int     `yaml:"height" min:"8" max:"1024"`
	Width     int     `yaml:"width" min:"8" max:"1024"`
	Channels  []int   `yaml:"channels" min:"4" max:"4096"`
	Residuals []int   `yaml:"residuals" min:"0" max:"100"`
	Pools     []int   `yaml:"pools" min:"1" max:"8"`
	Head      string  `yaml:"head" enum:"flatten average maximum"`
	Dropout   float64 `yaml:"dropout" min:"0" max:"0.95"`
}

// Optimizer fixes the update rule.
type Optimizer struct {
	Name        string  `yaml:"name" enum:"sgd adamw"`
	Momentum    float64 `yaml:"momentum" min:"0" max:"0.9999"`
	Beta1       float64 `yaml:"beta1" min:"0" max:"0.9999"`
	Beta2       float64 `yaml:"beta2" min:"0" max:"0.99999"`
	Epsilon     float64 `yaml:"epsilon" min:"1e-12" max:"1"`
	WeightDecay float64 `yaml:"weight_decay" min:"0" max:"10"`
}

// LearningRate fixes the schedule: a linear warm-up to Peak, then Schedule
// down to Final·Peak.
type LearningRate struct {
	Peak     float64 `yaml:"peak" min:"1e-7" max:"100"`
	Warmup   float64 `yaml:"warmup" min:"0" max:"0.9"`
	Schedule string  `yaml:"schedule" enum:"constant linear cosine"`
	Final    float64 `yaml:"final" min:"0" max:"1"`
}

// Augment says how training images are varied.
type Augment struct {
	Flip       bool    `yaml:"flip"`
	Scale      float64 `yaml:"scale" min:"0.05" max:"1"`
	Aspect     float64 `yaml:"aspect" min:"1" max:"4"`
	Brightness float64 `yaml:"brightness" min:"0" max:"1"`
	Cutmix     float64 `yaml:"cutmix" min:"0" max:"1"`
}

// Evaluate fixes how the test split is measured.
type Evaluate struct {
	Mirror   bool `yaml:"mirror"`
	Bins     int  `yaml:"bins" min:"2" max:"100"`
	Mistakes int  `yaml:"mistakes" min:"0" max:"1000"`
}

// Report fixes the report.
type Report struct {
	Title string `yaml:"title"`
}

// Sections is all of what one run of the pipeline is asked to do.
type Sections struct {
	Fetch    Fetch    `yaml:"fetch"`
	Explore  Explore  `yaml:"explore"`
	Resize   Resize   `yaml:"resize"`
	Pack     Pack     `yaml:"pack"`
	Train    Train    `yaml:"train"`
	Evaluate Evaluate `yaml:"evaluate"`
	Report   Report   `yaml:"report"`
}
