package guard

import "sonde/internal/tool/guard/rule"

// Object is a file or directory as the kernel knows it.
type Object struct {
	Dev uint32 // the kernel's own encoding: major << 20 | minor
	Ino uint64
}

// Entry is a name in a directory: whatever is there, now or later.
type Entry struct {
	Dir  Object
	Name string // of at most 255 bytes
}

// Step is where a name in a directory leads.
type Step struct {
	To   Object
	Link bool // it is a symbolic link
}

// GlobAt is a pattern for one name: in a directory (Dir), anywhere below one (Dir and Below), or anywhere (Dir zero).
type GlobAt struct {
	Dir     Object
	Below   bool
	Pattern string // * ? [..] \x for one name, of at most 64 bytes
	Rule    int
}

// Armed is a rule set resolved to what is there on this machine: what the kernel's tables are filled with. Values are
// indices into Rules in ascending order.
type Armed struct {
	Rules   []ArmedRule
	Objects map[Object][]int // files by their identity, hard links and all
	Entries map[Entry][]int  // paths of rules by their last step
	Trees   map[Object][]int // directories: they, and all below
	Names   map[string][]int // base names, anywhere
	Globs   []GlobAt
	// Steps are the names in directories that the paths of rules lead through, and from those directories back ("..").
	Steps map[Entry]Step
	Notes []string // what the user should know: paths that are not there yet, limits
	Watch []string // directories whose change means that the set must be resolved anew
	// WatchFor has for directories of Watch the names in them that matter, and what was there (zero: nothing). A directory that
	// is not in it is watched for all names.
	WatchFor map[string]map[string]Object
	File     string // the rule file's absolute path; "" for a command line
	mounts   []mountTop
}

// ArmedRule is a rule as the kernel decides it.
type ArmedRule struct {
	Name   string
	Access rule.Access
	Action rule.Action
	Errno  int
	Who    ArmedWho
	Except []ArmedWho // at most 4
}

// ArmedWho is a Who with its names resolved. Nil slices do not narrow; an empty slice that is not nil matches nobody.
type ArmedWho struct {
	Exes    []Object
	UIDs    []uint32
	PIDs    []uint32
	Comms   []string
	Cgroups []string // directories of cgroup v2
	Mntns   []uint64 // of --container where cgroups cannot tell
	Tree    bool
}
