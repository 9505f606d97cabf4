package dynevent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"sonde/internal/fileevent"
	"sonde/internal/kernel"
	"sonde/internal/tracefs"
)

// definition is an event that is to be: one of our own, or one that the kernel has.
type definition struct {
	group string // of an event that the kernel has; empty: it is our own
	name  string // of our own, without what makes it unique
	// How it is defined: "p" or "r" of kprobes, "e" of event probes, and the rest of the line.
	kind, place, args string
	layout            layout
	fields            fieldNames
	optional          bool // without it less is seen
}

// creatFlags are those that creat(2) means.
const creatFlags = unix.O_CREAT | unix.O_WRONLY | unix.O_TRUNC

// maxActive is how many calls of one function may be under way at once: a kretprobe has so many places to note them. Opens of
// pipes and of files on a network wait for long.
const maxActive = "r2048"

var byCall = fieldNames{dirfd: "dfd", flags: "flags", mode: "mode", comm: "comm", path: "path"}

// Kprobes: the function that open, openat, openat2 and creat have in common, also for 32-bit programs, and the look-up of the
// name below it, which execs, io_uring and the kernel itself do too. The name that the look-up works on is in the kernel's memory;
// the one in the caller's is for those opens that fail before it.
func kprobes(function string) []definition {
	args, how := "dfd=$arg1:s32 flags=$arg3:x32 mode=$arg4:x16", uint16(fileevent.ByOpenat)
	if function == "do_sys_openat2" {
		how = uint16(fileevent.ByOpenat2)
		args = "dfd=$arg1:s32 flags=+0($arg3):x64 mode=+8($arg3):x64" // struct open_how of linux/openat2.h
	}
	list := []definition{{name: "exit", kind: maxActive, place: function, args: "ret=$retval:s32",
		layout: layout{part: partExit, how: how}, fields: fieldNames{ret: "ret"}}}
	for _, look := range []string{"do_filp_open", "do_file_open"} { // the second on 7.2
		list = append(list, definition{name: "opened", kind: maxActive, place: look, args: "ret=$retval:s64",
			layout: layout{part: partOpened}, fields: fieldNames{ret: "ret"}, optional: true})
		// struct open_flags of fs/internal.h begins with the flags and the mode, struct filename with the name.
		list = append(list, definition{name: "name", kind: "p", place: look,
			args:   "dfd=$arg1:s32 flags=+0($arg3):x32 mode=+4($arg3):x16 comm=$comm:string path=+0(+0($arg2)):string",
			layout: layout{part: partName}, fields: byCall, optional: true})
	}
	list = append(list, definition{name: "enter", kind: "p", place: function, args: args + " comm=$comm:string path=+0($arg2):ustring",
		layout: layout{part: partEnter, how: how}, fields: byCall})
	return append(list, handles...)
}

// Event probes, on the tracepoints of the system calls.
func eventProbes(comm string) (list []definition) {
	const path = "path=+0($filename):ustring"
	fields := byCall
	if comm == "" {
		fields.comm = ""
	}
	noDir, creat := fields, fields
	noDir.dirfd = ""
	creat.dirfd, creat.flags = "", ""
	for _, c := range []struct {
		call, args string
		how        fileevent.How
		fields     fieldNames
		optional   bool
	}{
		{"open", "flags=$flags:x32 mode=$mode:x16 " + path, fileevent.ByOpen, noDir, true}, // arm64 has it not
		{"openat", "dfd=$dfd:s32 flags=$flags:x32 mode=$mode:x16 " + path, fileevent.ByOpenat, fields, false},
		{"openat2", "dfd=$dfd:s32 flags=+u0($how):x64 mode=+u8($how):x64 " + path, fileevent.ByOpenat2, fields, true},
		{"creat", "mode=$mode:x16 path=+0($pathname):ustring", fileevent.ByCreat, creat, true},
	} {
		if comm != "" {
			c.args += " comm=" + comm
		}
		list = append(list,
			definition{group: "syscalls", name: "sys_exit_" + c.call, optional: c.optional,
				layout: layout{part: partExit, how: uint16(c.how)}, fields: fieldNames{ret: "ret"}},
			definition{name: c.call, kind: "e", place: "syscalls.sys_enter_" + c.call, args: c.args, optional: c.optional,
				layout: layout{part: partEnter, how: uint16(c.how)}, fields: c.fields})
	}
	return append(list, handles...)
}

// handles are opens of files by handles, which have no name.
var handles = []definition{
	{group: "syscalls", name: "sys_exit_open_by_handle_at", optional: true,
		layout: layout{part: partExit, how: uint16(fileevent.ByHandle)}, fields: fieldNames{ret: "ret"}},
	{group: "syscalls", name: "sys_enter_open_by_handle_at", optional: true,
		layout: layout{part: partEnter, how: uint16(fileevent.ByHandle)}, fields: fieldNames{flags: "flags"}},
}

// lives are what tells of tasks.
var lives = []definition{
	{group: "task", name: "task_newtask", layout: layout{part: partNewTask}, fields: fieldNames{other: "pid", flags: "clone_flags"}},
	{group: "sched", name: "sched_process_exec", layout: layout{part: partExec}, fields: fieldNames{other: "old_pid"}},
	{group: "sched", name: "sched_process_exit", layout: layout{part: partEnded}},
}

// Kind is a kind of dynamic events.
type Kind uint8

const (
	Any         Kind = iota // kprobes, else event probes
	Kprobes                 // CONFIG_KPROBE_EVENTS
	EventProbes             // CONFIG_EPROBE_EVENTS, 5.15
)

// String is how the kind is called in messages.
func (k Kind) String() string {
	if k == EventProbes {
		return "event probes on system calls"
	}
	return "kprobe events"
}

// variants are the sets of events that may do, the best first.
func (k Kind) variants() (list []variant) {
	if k != EventProbes {
		list = append(list, variant{Kprobes, kprobes("do_sys_openat2")}, variant{Kprobes, kprobes("do_sys_open")})
	}
	if k != Kprobes {
		list = append(list, variant{EventProbes, eventProbes("$comm:string")}, variant{EventProbes, eventProbes("")})
	}
	return list
}

type variant struct {
	kind Kind
	list []definition
}

// instance is where the events are recorded.
type instance struct{ *tracefs.Instance }

// purpose is the word in the names of these instances and their groups of events.
const purpose = "open"

// defined is an event that is there.
type defined struct {
	group, name string
	layout      *layout
	id          uint16
}

// defineAll makes the events of one variant, those that the kernel has included. suffix makes their names unique.
func (i instance) defineAll(list []definition, suffix string) (all []defined, err error) {
	for _, d := range list {
		one, err := i.define(d, suffix)
		if err != nil {
			if d.optional {
				continue
			}
			return all, err
		}
		all = append(all, one)
	}
	return all, nil
}

func (i instance) define(d definition, suffix string) (defined, error) {
	one := defined{group: d.group, name: d.name}
	if d.group == "" {
		one.group, one.name = i.Name, d.name+"_"+suffix
		if err := tracefs.Define(i.Dir, d.kind+":"+one.group+"/"+one.name+" "+d.place+" "+d.args); err != nil {
			return one, fmt.Errorf("%s: %w", d.place, tracefs.Bare(err))
		}
	}
	// An instance made before the event was has it too.
	text, err := os.ReadFile(i.Path("events", one.group, one.name, "format"))
	if err != nil {
		return one, fmt.Errorf("event %s:%s: %w", one.group, one.name, tracefs.Bare(err))
	}
	format, err := kernel.ParseFormat(one.group, string(text))
	if err != nil {
		return one, err
	}
	if one.layout, err = lay(format, d.layout, d.fields); err != nil {
		return one, err
	}
	one.id = uint16(format.ID)
	return one, nil
}

// probe makes the events of the first variant that can be had.
func (i instance) probe(variants []variant, suffix string) (Kind, []defined, error) {
	var why []error
	for _, v := range variants {
		all, err := i.defineAll(v.list, suffix)
		if err == nil && v.kind == EventProbes {
			err = i.tryPointers(suffix)
		}
		if err == nil {
			more, err := i.defineAll(lives, suffix)
			return v.kind, append(more, all...), err
		}
		if err := i.undefine(); err != nil {
			return v.kind, nil, err
		}
		why = append(why, err)
	}
	if noneDynamic(why) {
		return Any, nil, fmt.Errorf("this kernel lets tracefs make neither kprobe events (CONFIG_KPROBE_EVENTS) nor event probes (CONFIG_EPROBE_EVENTS)")
	}
	first := why[0]
	if at := slices.IndexFunc(why, func(err error) bool { return errors.Is(err, errPointers) }); at >= 0 {
		first = fmt.Errorf("%w; kprobe events (CONFIG_KPROBE_EVENTS) would do, which this one cannot make", why[at])
	}
	return Any, nil, fmt.Errorf("tracefs: no dynamic event that sees opens: %w", first)
}

// noneDynamic says whether all that was tried is unknown to the kernel.
func noneDynamic(why []error) bool {
	for _, err := range why {
		if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

// undefine removes our events, before others are tried.
func (i instance) undefine() error {
	events, err := tracefs.EventsOf(i.Dir, i.Name)
	if err != nil {
		return fmt.Errorf("tracefs: %w", err)
	}
	for _, event := range events {
		if err := tracefs.Define(i.Dir, "-:"+event); err != nil {
			return fmt.Errorf("tracefs: removing %s: %w", event, tracefs.Bare(err))
		}
	}
	return nil
}
