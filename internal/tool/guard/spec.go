package guard

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// Options say what is to be loaded. Whom it is about, beyond what the rules say, is target's business.
type Options struct {
	Mechanism   Mechanism
	Fields      []string         // keys of RowType that will be shown; nil: all
	RingBytes   int              // for records of what was only logged: a power of two of at least a page; 0 is DefaultRingBytes
	UrgentBytes int              // the same for records of denials and kills; 0 is DefaultUrgentBytes
	Sizes       Sizes            // of the tables; zero values are replaced by the least that SizesFor gives
	Types       *kernel.BTFTypes // the kernel's, where they have been read already
	// Returns has Kill look at the returns of system calls, for kernels without kprobes: only what is opened by a system
	// call of the open family, or executed, is seen.
	Returns bool
	// Modifies is for Override on kernels without bpf_override_return: it says whether the kernel lets programs modify what a
	// function returns. nil: Override is done by kprobes.
	Modifies func(function string) bool
}

// kprobes says whether the programs are put on by kprobes.
func (o *Options) kprobes() bool {
	return o.Mechanism == Kill && !o.Returns || o.Mechanism == Override && o.Modifies == nil
}

const (
	DefaultRingBytes   = 1 << 20
	DefaultUrgentBytes = 1 << 18
)

// Names of what Session.Word and SetWord take.
const (
	ModeWord       = bpfVarGuardMode       // ModeOff, ModeArmed or ModeDry
	GenerationWord = bpfVarGuardGeneration // of the rules in force
	DeadlineWord   = bpfVarGuardDeadline   // CLOCK_BOOTTIME nanoseconds from which on nothing is denied, logged or killed; 0: none
	MaxDeniesWord  = bpfVarGuardMaxDenies  // denials and kills in one second, beyond which it only logs; 0: no limit
	SelfWord       = bpfVarGuardSelf       // the process that no rule is about; set to 0 when it ends
	LearntFullWord = bpfVarGuardLearntFull // counts files that could not be remembered
	CountsMap      = bpfMapGuardCounts     // see ReadCounts
	TreeLive       = bpfVarTargetLive
	TreeSeeded     = bpfVarTargetSeeded
)

// Values of ModeWord.
const (
	ModeOff   = 0
	ModeArmed = 1
	ModeDry   = 2 // every action is only logged
)

// LostReasons are the loss counters of the programs, in their order; the last is target.bpf.h's.
var LostReasons = []string{"ring_full", "denials_ring_full", "cpu_too_busy", "path_not_in_memory", "", "", "", "tree_table_full"}

// Maps lists the maps that have to be pinned for Load, Switch and Counts to work on what is pinned, and for its programs to find
// each other.
func Maps(m Mechanism) []string {
	maps := []string{
		bpfMapGuardObjects, bpfMapGuardEntries, bpfMapGuardTrees, bpfMapGuardNames, bpfMapGuardDirGlobs, bpfMapGuardWhos, bpfMapGuardLearnt,
		bpfMapGuardLists, bpfMapGuardGlobs, bpfMapGuardRules, bpfMapGuardCounts, ".bss", ".rodata",
	}
	if m == Override {
		maps = append(maps, bpfMapGuardSteps, bpfMapGuardJump) // the last is empty once nobody holds it
	}
	return maps
}

// Spec builds what is to be loaded. It asks the running kernel's types where each hook has its arguments; hooks that this
// kernel does not have are left out. Nothing is guarded until rules are loaded (Load), switched to, and ModeWord is set.
func Spec(opt Options) (*prog.Spec, error) {
	coll, err := loadBpf()
	if err != nil {
		return nil, fmt.Errorf("guard: the embedded object: %w", err)
	}
	switch opt.Mechanism {
	case LSM, FmodRet, Override, Kill:
	default:
		return nil, fmt.Errorf("guard: no mechanism %q", opt.Mechanism)
	}
	if opt.Types == nil {
		if opt.Types, err = kernel.RunningTypes(); err != nil {
			return nil, fmt.Errorf("guard: it needs the kernel's types (BTF); use a kernel built with CONFIG_DEBUG_INFO_BTF: %w", err)
		}
	}
	probes, args, err := probesFor(coll, opt)
	if err != nil {
		return nil, err
	}
	if err := setConstants(coll, opt, args); err != nil {
		return nil, err
	}
	setSizes(coll, opt)
	var fill []prog.MapFill
	if opt.Mechanism == Override {
		fill = callFill(!opt.kprobes())
	} else {
		for _, name := range []string{bpfMapGuardSteps, bpfMapGuardCalls, bpfMapGuardAsked, bpfMapGuardJump} {
			delete(coll.Maps, name)
		}
	}
	return &prog.Spec{
		Name:        "guard",
		Collection:  coll,
		Probes:      probes,
		Fill:        fill,
		Ring:        bpfMapRecords,
		Urgent:      bpfMapUrgent,
		Counters:    bpfMapCounters,
		LostReasons: LostReasons,
	}, nil
}

func setConstants(coll *ebpf.CollectionSpec, opt Options, args map[string]uint32) error {
	var seed [8]byte
	if _, err := unix.Getrandom(seed[:], 0); err != nil {
		return fmt.Errorf("guard: random numbers: %w", err)
	}
	constants := map[string]any{
		bpfVarGuardMechanism: opt.Mechanism.number(),
		bpfVarGuardKprobes:   flag(opt.kprobes()),
		bpfVarGuardOverrides: flag(opt.Mechanism == Override && opt.kprobes()),
		bpfVarGuardWant:      wanted(opt.Fields),
		bpfVarSubvolumeRoot:  kernel.RunningSubvolume().Root,
		bpfVarSubvolumeDev:   kernel.RunningSubvolume().Dev,
		bpfVarGuardSeed:      binary.NativeEndian.Uint64(seed[:]),
	}
	for name, at := range args {
		constants[name] = at
	}
	for name, value := range constants {
		if err := coll.Variables[name].Set(value); err != nil {
			return fmt.Errorf("guard: constant %s: %w", name, err)
		}
	}
	sizes := opt.Sizes.atLeast(SizesFor(nil))
	steps := 0
	if opt.Mechanism == Override {
		steps = sizes.Steps
	}
	for name, n := range map[string]int{
		bpfVarGuardStepsRoom: steps, bpfVarGuardRulesHalf: sizes.Rules, bpfVarGuardListsHalf: sizes.Lists, bpfVarGuardGlobsHalf: sizes.Globs,
	} {
		if err := coll.Variables[name].Set(uint64(n)); err != nil {
			return fmt.Errorf("guard: constant %s: %w", name, err)
		}
	}
	return nil
}

func flag(on bool) uint32 {
	if on {
		return 1
	}
	return 0
}

const (
	wantFile = 1 << iota // tell.bpf.h: WANT_FILE
	wantPComm
	wantPath
)

func wanted(fields []string) (want uint32) {
	if fields == nil || slices.Contains(fields, "file") {
		want |= wantFile
	}
	if fields == nil || slices.Contains(fields, "pcomm") {
		want |= wantPComm
	}
	if fields == nil || slices.ContainsFunc(fields, func(f string) bool { return f == "path" || f == "dirfd" || f == "mode" }) {
		want |= wantPath
	}
	return want
}

func setSizes(coll *ebpf.CollectionSpec, opt Options) {
	if opt.RingBytes == 0 {
		opt.RingBytes = DefaultRingBytes
	}
	if opt.UrgentBytes == 0 {
		opt.UrgentBytes = DefaultUrgentBytes
	}
	coll.Maps[bpfMapRecords].MaxEntries = uint32(opt.RingBytes)
	coll.Maps[bpfMapUrgent].MaxEntries = uint32(opt.UrgentBytes)
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		cpus = runtime.NumCPU()
	}
	coll.Maps[bpfMapGuardClaims].MaxEntries = uint32(2 * cpus * pathSlots)

	sizes := opt.Sizes.atLeast(SizesFor(nil))
	for name, half := range map[string]int{
		bpfMapGuardRules: sizes.Rules, bpfMapGuardCounts: sizes.Rules, bpfMapGuardLists: sizes.Lists, bpfMapGuardGlobs: sizes.Globs,
		bpfMapGuardObjects: sizes.Objects, bpfMapGuardEntries: sizes.Entries, bpfMapGuardTrees: sizes.Trees,
		bpfMapGuardNames: sizes.Names, bpfMapGuardDirGlobs: sizes.DirGlobs, bpfMapGuardWhos: sizes.Whos, bpfMapGuardSteps: sizes.Steps,
	} {
		m := coll.Maps[name]
		m.MaxEntries = uint32(2 * half)
		// Memory for what is there, not for what may be. Programs of kprobes must not have such maps.
		if m.Type == ebpf.Hash && !opt.kprobes() {
			m.Flags |= unix.BPF_F_NO_PREALLOC
		}
	}
	coll.Maps[bpfMapGuardLearnt].MaxEntries = learntMax
	coll.Maps[bpfMapGuardLearning].MaxEntries = learningMax
}

const (
	pathSlots = 4     // tell.bpf.h: PATH_SLOTS
	learntMax = 16384 // files with several names that are remembered

	learningMax = 1024 // tasks that are at that
)

// Sizes is how much the tables hold, of one generation of rules.
type Sizes struct {
	Rules, Lists, Objects, Entries, Trees, Names, DirGlobs, Globs, Whos, Steps int
}

// SizesFor returns what a set of rules needs, with room for a reload to be several times as large.
func SizesFor(a *Armed) Sizes {
	least := Sizes{Rules: 1024, Lists: 4096, Objects: 16384, Entries: 4096, Trees: 4096, Names: 1024, DirGlobs: 1024, Globs: 256, Whos: 4096, Steps: 4096}
	if a == nil {
		return least
	}
	need := demand(a)
	room := func(n int) int { return 1 << bits.Len(uint(4*n)) }
	return Sizes{
		Rules: room(need.Rules), Lists: room(need.Lists), Objects: room(need.Objects), Entries: room(need.Entries), Trees: room(need.Trees),
		Names: room(need.Names), DirGlobs: room(need.DirGlobs), Globs: room(need.Globs), Whos: room(need.Whos),
		Steps: room(need.Steps),
	}.atLeast(least)
}

func (s Sizes) atLeast(t Sizes) Sizes {
	return Sizes{
		Rules: max(s.Rules, t.Rules), Lists: max(s.Lists, t.Lists), Objects: max(s.Objects, t.Objects), Entries: max(s.Entries, t.Entries),
		Trees: max(s.Trees, t.Trees), Names: max(s.Names, t.Names), DirGlobs: max(s.DirGlobs, t.DirGlobs), Globs: max(s.Globs, t.Globs),
		Whos: max(s.Whos, t.Whos), Steps: max(s.Steps, t.Steps),
	}
}

// A hook is one place where the kernel asks, and the program that answers.
type hook struct {
	program  string
	name     string            // of the LSM hook; the function is security_ and this
	args     map[string]string // constants of the programs: which argument has that name
	fixed    []string          // names that arguments must have at their places, "" for any
	optional bool              // not in every kernel
	instead  string            // needed only where this hook is not
}

var hooks = []hook{
	{program: bpfProgGuardFileOpen, name: "file_open", fixed: []string{"file"}},
	{program: bpfProgGuardFileReceive, name: "file_receive", fixed: []string{"file"}},
	{program: bpfProgGuardMmapFile, name: "mmap_file", args: map[string]string{bpfVarArgMmapProt: "prot"}},
	{program: bpfProgGuardFileMprotect, name: "file_mprotect", fixed: []string{"vma", "reqprot", "prot"}},
	{program: bpfProgGuardInodeCreate, name: "inode_create", fixed: []string{"dir", "dentry"}},
	{program: bpfProgGuardInodeMkdir, name: "inode_mkdir", fixed: []string{"dir", "dentry"}},
	{program: bpfProgGuardInodeMknod, name: "inode_mknod", fixed: []string{"dir", "dentry"}},
	{program: bpfProgGuardInodeSymlink, name: "inode_symlink", fixed: []string{"dir", "dentry"}},
	{program: bpfProgGuardInodeUnlink, name: "inode_unlink", fixed: []string{"dir", "dentry"}},
	{program: bpfProgGuardInodeRmdir, name: "inode_rmdir", fixed: []string{"dir", "dentry"}},
	{program: bpfProgGuardInodeLink, name: "inode_link", fixed: []string{"old_dentry", "dir", "new_dentry"}},
	{program: bpfProgGuardInodeRename, name: "inode_rename", fixed: []string{"old_dir", "old_dentry", "new_dir", "new_dentry"}},
	{program: bpfProgGuardInodeSetattr, name: "inode_setattr", args: map[string]string{bpfVarArgSetattrDentry: "dentry"}},
	{program: bpfProgGuardInodeSetxattr, name: "inode_setxattr", args: map[string]string{bpfVarArgSetxattrDentry: "dentry"}},
	{program: bpfProgGuardInodeRemovexattr, name: "inode_removexattr", args: map[string]string{bpfVarArgRemovexattrDentry: "dentry"}},
	{program: bpfProgGuardInodeSetAcl, name: "inode_set_acl", args: map[string]string{bpfVarArgSetAclDentry: "dentry"}, optional: true},
	{program: bpfProgGuardInodeRemoveAcl, name: "inode_remove_acl", args: map[string]string{bpfVarArgRemoveAclDentry: "dentry"}, optional: true},
	{program: bpfProgGuardInodeFileSetattr, name: "inode_file_setattr", fixed: []string{"dentry"}, optional: true},
	{program: bpfProgGuardFileIoctl, name: "file_ioctl", fixed: []string{"file", "cmd"}, instead: "inode_file_setattr"},
	{program: bpfProgGuardFileIoctlCompat, name: "file_ioctl_compat", fixed: []string{"file", "cmd"}, instead: "inode_file_setattr", optional: true},
}

// probesFor gives the programs the type that the mechanism wants, and finds where they find their arguments.
func probesFor(coll *ebpf.CollectionSpec, opt Options) ([]prog.Probe, map[string]uint32, error) {
	raw := func(program, name string) prog.Probe {
		return prog.Probe{Program: program, Kind: prog.RawTracepoint, Name: name}
	}
	probes := []prog.Probe{
		raw(bpfProgTargetFork, "sched_process_fork"),
		raw(bpfProgTargetExit, "sched_process_exit"),
		raw(bpfProgGuardExit, "sched_process_exit"),
	}
	args := make(map[string]uint32)
	if opt.Mechanism == Kill && opt.Returns {
		for _, h := range hooks {
			delete(coll.Programs, h.program)
		}
		delete(coll.Programs, bpfProgGuardCall)
		delete(coll.Programs, bpfProgGuardToCall)
		return append(probes, raw(bpfProgGuardSysExit, "sys_exit"), raw(bpfProgGuardExec, "sched_process_exec")), args, nil
	}
	delete(coll.Programs, bpfProgGuardSysExit)
	delete(coll.Programs, bpfProgGuardExec)
	if opt.Mechanism == Override {
		for _, h := range hooks {
			delete(coll.Programs, h.program)
		}
		onCalls, err := callProbes(coll, opt)
		return append(probes, onCalls...), args, err
	}
	delete(coll.Programs, bpfProgGuardCall)
	delete(coll.Programs, bpfProgGuardToCall)
	for _, h := range hooks {
		if _, better := parameters(opt.Types, "security_"+h.instead); h.instead != "" && better {
			delete(coll.Programs, h.program)
			continue
		}
		function, kind := "security_"+h.name, prog.FmodRet
		typed, attachType, attachTo := ebpf.Tracing, ebpf.AttachModifyReturn, function
		switch opt.Mechanism {
		case LSM:
			function, kind = "bpf_lsm_"+h.name, prog.LSM
			typed, attachType, attachTo = ebpf.LSM, ebpf.AttachLSMMac, h.name
		case Kill:
			kind, typed, attachType, attachTo = prog.Kprobe, ebpf.Kprobe, ebpf.AttachNone, ""
		}
		params, ok := parameters(opt.Types, function)
		if !ok {
			if !h.optional {
				return nil, nil, fmt.Errorf("guard: this kernel has no %s among its types, so %s cannot be guarded by %s", function, h.name, opt.Mechanism)
			}
			delete(coll.Programs, h.program)
			continue
		}
		if err := h.place(function, params, args); err != nil {
			return nil, nil, err
		}
		p := coll.Programs[h.program]
		p.Type, p.AttachType, p.AttachTo = typed, attachType, attachTo
		name := function
		if kind == prog.LSM {
			name = h.name
		}
		probes = append(probes, prog.Probe{Program: h.program, Kind: kind, Name: name})
	}
	return probes, args, nil
}

// parameters returns the names of a function's parameters.
func parameters(types *kernel.BTFTypes, function string) ([]string, bool) {
	id, ok := types.Find(kernel.BTFFunc, function)
	if !ok {
		return nil, false
	}
	fn := types.Type(id)
	if fn == nil {
		return nil, false
	}
	proto := types.Type(fn.Elem)
	if proto == nil {
		return nil, false
	}
	var names []string
	for _, p := range proto.Params {
		name, _, _ := strings.Cut(p.Name, "__") // file__nullable
		names = append(names, name)
	}
	return names, true
}

// place notes where the arguments are, and refuses a kernel whose hook is another one than is known.
func (h *hook) place(function string, params []string, args map[string]uint32) error {
	for i, name := range h.fixed {
		if i >= len(params) || params[i] != name {
			return fmt.Errorf("guard: %s has the arguments (%s) in this kernel, which sonde does not know; report it as a bug", function, strings.Join(params, ", "))
		}
	}
	for constant, name := range h.args {
		at := slices.Index(params, name)
		if at < 0 || at > maxArg {
			return fmt.Errorf("guard: %s has the arguments (%s) in this kernel, and no %s that sonde could find; report it as a bug", function, strings.Join(params, ", "), name)
		}
		args[constant] = uint32(at)
	}
	return nil
}

// maxArg is the largest place that the programs tell apart.
const maxArg = 2
