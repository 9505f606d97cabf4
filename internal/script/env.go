package script

import (
	"io"
	"time"

	"sonde/internal/compile"
	"sonde/internal/compile/types"
	"sonde/internal/stream"
)

// Env is what a running script needs of the world.
type Env struct {
	// Out takes the output: internal/print's Output. Every record is one Write. It is flushed when no more records wait.
	Out Output
	// Err takes messages in text: of errorf and warnf, run-time errors, what went wrong with system and cat.
	Err io.Writer
	// JSON chooses the form; messages are then objects on Out as well.
	JSON bool
	// Terminal says that Out is one: in strings that come from what is traced, what could command it is escaped.
	Terminal bool
	// NoWarnings leaves out warnf and the reports of run-time errors.
	NoWarnings bool

	Maps    Maps
	Symbols Symbols
	// Wall turns nanoseconds since boot (CLOCK_BOOTTIME) into nanoseconds since the Unix epoch. Nil: they are the same.
	Wall func(boot uint64) int64
	// Now is the wall clock of time(). Nil: time.Now.
	Now func() time.Time
	// Location is the time zone that times are shown in. Nil: time.Local.
	Location *time.Location
	// User names a user. Nil: by /etc/passwd.
	User func(uid uint32) (name string, ok bool)
	// CgroupPath lists where a cgroup is ("unified:/a"), in the hierarchies whose name matches a pattern, all for "".
	// Nil: nowhere.
	CgroupPath func(id uint64, pattern string) string
	// System runs a command of the script. Nil: by sh -c. An error says how it failed.
	System func(command string, stdout, stderr io.Writer) error
}

// Output is where a script writes to.
type Output interface {
	io.Writer
	Flush() error
}

// Maps are the maps of the running script, by their names in the collection: stream.Maps.
type Maps interface {
	Read(name string, t *stream.Table) error
	Clear(name string, t *stream.Table) error
	Zero(name string, t *stream.Table) error
	ReadAt(name string, p []byte, off int) error
	WriteAt(name string, p []byte, off int) error
}

// Symbols names addresses. What it is asked for twice it need not keep: Runner does.
type Symbols interface {
	Kernel(addr uint64) Frame
	// User names an address of a process; what says what address it is.
	User(pid, what uint32, addr uint64) Frame
	// Observe says that a process's addresses will be asked for, perhaps when it has ended. If it has ended already, what
	// is left is that the probe at an offset of its file is at addr in it; both are 0 where there is none.
	Observe(pid uint32, addr, offset uint64)
	// Mapped says what a process that Observe was called for has mapped, should it have ended before.
	Mapped(compile.Mapping)
}

// What an address is that a process's symbols are asked for.
const (
	AnyAddress   = types.USymAddress
	ProbeAddress = types.USymProbe  // of the function that is probed
	ProbeOffset  = types.USymOffset // none, but where in its file the probed function is
)

// Frame is what is known of an address.
type Frame struct {
	Name   string // of the function, "" if it is not known
	Offset uint64 // from its start
	Module string // file or kernel module, "" if it is not known or is the kernel itself
}
