// Package artifact is how the pipeline knows that only what changed must rerun:
// keys, manifests, atomic commit of a stage's output, the cache of digests, and
// the reasons why a stage is stale.
package artifact

// A File is a file of an artifact, or a raw photo: its slash-separated path
// within its folder, its size in bytes and the hex SHA-256 of its content.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// A Manifest says what an artifact is and what it was made from. It lies in
// the artifact's folder as manifest.json and, as the pointer to the current
// one, beside it.
type Manifest struct {
	Stage string `json:"stage"`
	Key   string `json:"key"`

	// What the key is the hash of.
	Parameters map[string]any    `json:"parameters"`       // of the stage's own section
	Code       string            `json:"code"`             // digest of the stage's code
	Engine     string            `json:"engine,omitempty"` // where bytes depend on it
	Inputs     map[string]string `json:"inputs"`           // content digests, by stage

	// Digest is the joint digest of Files. Informational files (plots,
	// runtime.json, checkpoints) are listed but not part of it.
	Digest        string `json:"digest"`
	Files         []File `json:"files"`
	Informational []File `json:"informational,omitempty"`

	// Accepted says that a change of code was declared not to matter.
	Accepted string `json:"accepted,omitempty"`
}
