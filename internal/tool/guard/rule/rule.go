// Package rule is the language of guard's rules: what they are, how they are read from a command line or from YAML, how
// they are shown. It touches no file system and no kernel: what a path leads to is found when rules are armed.
package rule

// Access is a set of what may be done to a file.
type Access uint16

// The bits are guard.h's.
const (
	Read     Access = 1 << iota // opened for reading, or mapped
	Write                       // opened for writing, or mapped writable and shared
	Create                      // a file, directory, link or node of that name is made
	Delete                      // unlink, rmdir
	Rename                      // from here or to here
	Link                        // another name made for it
	Truncate                    // truncate(2), ftruncate(2), O_TRUNC
	Exec                        // executed, mapped executable
	Metadata                    // mode, owner, times, extended attributes

	AllAccess Access = 1<<iota - 1
)

// Action is what a match leads to.
type Action uint8

const (
	Log      Action = iota + 1 // it is told
	Kill                       // SIGKILL; the operation itself goes on
	Deny                       // the operation fails
	DenyKill                   // both
	Allow                      // nothing: what comes after does not apply
)

// Kind says how a Pattern names files.
type Kind uint8

const (
	File     Kind = iota // Path: this file, by whatever name it is reached, and whatever file comes to be at this path
	Tree                 // Path: this directory and all below it
	Glob                 // Path with * ? [..] in it, and ** for any number of directories
	BaseName             // Path has no slash: every file whose last name it is; may be a glob
)

// Pattern is one thing a rule is about.
type Pattern struct {
	Kind  Kind
	Path  string // cleaned; absolute but for BaseName
	Exact bool   // of File: said to be a file. Otherwise a path that leads to a directory is a Tree
	Pos   Pos
}

// Pos is a place in a rule file; the zero Pos is the command line.
type Pos struct{ Line, Col int }

// Who narrows a rule to some processes; all that is set must be true. The zero Who is everybody.
type Who struct {
	Exe       []string // paths of executables, any of them
	UIDs      []uint32 // any of them, or of Users
	Users     []string // names of users; their numbers are found when the rule is armed
	PIDs      []uint32
	Comm      []string // whole names, any of them
	Cgroups   []string // paths or names as --cgroup takes them, and what is below
	Container string   // as --container takes it
	Tree      bool     // COMMAND and its descendants
	Pos       Pos
}

// Rule is one rule. The first of a set that matches decides.
type Rule struct {
	Name   string // unique in the set; made from its place where none is given
	What   []Pattern
	Access Access // zero is not possible in a checked rule
	Who    Who
	Except []Who // a process that one of them describes is not meant
	Action Action
	Errno  int // of Deny and DenyKill: 1 EPERM, 2 ENOENT, 13 EACCES
	Pos    Pos
}

// Set is what a rule file or a command line says.
type Set struct {
	File  string // "" for a command line
	Rules []Rule
}
