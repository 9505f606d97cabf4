package object

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"

	"sonde/internal/kernel"
	"sonde/internal/prog"
)

// place is what the name of a section says of where its program goes.
type place struct {
	kind   prog.ProbeKind
	group  string // tracepoint's category, module
	name   string
	offset uint64
	path   string // of uprobes
	many   bool   // name is a pattern
	call   bool   // name is a system call
	static bool   // it is a static probe: group is its provider
}

// sectionKind is what sections that begin with a word have in common. The words are libbpf's.
type sectionKind struct {
	kind  prog.ProbeKind
	parse func(p *place, rest string) error
	bare  string // what to do where nothing follows the word
}

const (
	giveFunction = "it does not say what it attaches to; give it by --attach %s=%s/FUNCTION"
	givePath     = "it does not say what it attaches to; give it by --attach %s=%s/PATH:FUNCTION"
)

var sectionKinds = map[string]sectionKind{
	"kprobe":          {prog.Kprobe, parseFunction, giveFunction},
	"kretprobe":       {prog.Kretprobe, parseFunction, giveFunction},
	"ksyscall":        {prog.Kprobe, parseCall, giveFunction},
	"kretsyscall":     {prog.Kretprobe, parseCall, giveFunction},
	"kprobe.multi":    {prog.KprobeMulti, parsePattern, giveFunction},
	"kretprobe.multi": {prog.KretprobeMulti, parsePattern, giveFunction},
	"kprobe.session":  {prog.KprobeSession, parsePattern, giveFunction},
	"uprobe":          {prog.Uprobe, parseUser, givePath},
	"uretprobe":       {prog.Uretprobe, parseUser, givePath},
	"uprobe.multi":    {prog.UprobeMulti, parseUserPattern, givePath},
	"uretprobe.multi": {prog.UretprobeMulti, parseUserPattern, givePath},
	"uprobe.session":  {prog.UprobeSession, parseUserPattern, givePath},
	"tracepoint":      {prog.Tracepoint, parseEvent, "it does not say what it attaches to; give it by --attach %s=%s/CATEGORY/EVENT"},
	"raw_tracepoint":  {prog.RawTracepoint, parseName, giveFunction},
	"tp_btf":          {prog.TypedTracepoint, parseName, giveFunction},
	"fentry":          {prog.Fentry, parseModule, giveFunction},
	"fexit":           {prog.Fexit, parseModule, giveFunction},
	"fmod_ret":        {prog.FmodRet, parseModule, giveFunction},
	"lsm":             {prog.LSM, parseName, giveFunction},
	"iter":            {prog.Iter, parseName, giveFunction},
	"usdt":            {prog.Uprobe, parseStatic, "it does not say what it attaches to; give it by --attach %s=%s/PATH:PROVIDER:NAME"},
	"perf_event":      {prog.Profile, parseTimer, ""},
}

// aliases are other words for the same; what ends in ".s" may sleep.
var aliases = map[string]string{
	"tp": "tracepoint", "raw_tp": "raw_tracepoint", "raw_tp.w": "raw_tracepoint", "raw_tracepoint.w": "raw_tracepoint",
}

// notHere says of what libbpf also knows why it is not run.
var notHere = []struct{ word, why string }{
	{"fsession", "programs on entry and return of a function at once are not attached yet; use fentry and fexit"},
	{"lsm_cgroup", "it is for one cgroup, and sonde run has no way to name one; use lsm/"},
	{"freplace", "it takes the place of a function of another program, which sonde run does not load"},
	{"syscall", "it is run on demand by a loader, not by an event"},
	{"struct_ops", "it is a part of the kernel (scheduler, congestion control), not a tracer"},
	{"cgroup", "it decides for a cgroup; sonde run attaches tracing programs only"},
	{"xdp", "it decides about packets; sonde run attaches tracing programs only"},
	{"tc", "it decides about packets; sonde run attaches tracing programs only"},
	{"classifier", "it decides about packets; sonde run attaches tracing programs only"},
	{"socket", "it filters a socket; sonde run attaches tracing programs only"},
	{"sk_", "it decides about sockets; sonde run attaches tracing programs only"},
	{"sockops", "it decides about sockets; sonde run attaches tracing programs only"},
}

// split parts the name of a section into libbpf's word, in its main form, and what follows it.
func split(name string) (word, rest string) {
	word, rest, _ = strings.Cut(strings.TrimPrefix(name, "?"), "/")
	word = strings.TrimSuffix(word, ".s")
	if main, ok := aliases[word]; ok {
		word = main
	}
	return word, rest
}

// parseSection reads the name of a program's section, or what was given in its place.
func parseSection(program, name string) (place, error) {
	word, rest := split(name)
	kind, ok := sectionKinds[word]
	if !ok {
		for _, n := range notHere {
			if word == n.word || strings.HasPrefix(word, n.word) && strings.HasSuffix(n.word, "_") {
				return place{}, errors.New(n.why)
			}
		}
		return place{}, fmt.Errorf("libbpf knows no section of that name, so it is not known what the program attaches to; give it by --attach %s=SECTION, or leave it out by --only", program)
	}
	p := place{kind: kind.kind}
	if rest == "" && kind.bare != "" {
		return p, fmt.Errorf(kind.bare, program, word)
	}
	return p, kind.parse(&p, rest)
}

// goebpf's spelling for the function of a system call, whatever it is called here.
const guess = "guess_"

func parseFunction(p *place, rest string) error {
	if call, ok := strings.CutPrefix(rest, guess); ok {
		return parseCall(p, call)
	}
	name, offset, err := cutOffset(rest)
	if err != nil {
		return err
	}
	if p.kind == prog.Kretprobe && offset != 0 {
		return errors.New("a kretprobe is on a whole function, without an offset")
	}
	p.name, p.offset = name, offset
	if module, function, ok := strings.Cut(name, ":"); ok {
		p.group, p.name = module, function
	}
	return nil
}

func parseCall(p *place, rest string) error {
	p.name, p.call = rest, true
	return nil
}

func parsePattern(p *place, rest string) error {
	p.name, p.many = rest, true
	return nil
}

func parseName(p *place, rest string) error {
	p.name = rest
	return nil
}

func parseModule(p *place, rest string) error {
	p.name = rest
	if module, function, ok := strings.Cut(rest, ":"); ok {
		p.group, p.name = module, function
	}
	return nil
}

func parseEvent(p *place, rest string) error {
	group, name, ok := strings.Cut(rest, "/")
	if !ok || group == "" || name == "" {
		return fmt.Errorf("%q is no tracepoint; they are written CATEGORY/EVENT", rest)
	}
	p.group, p.name = group, name
	return nil
}

func parseTimer(_ *place, rest string) error {
	if rest != "" {
		return fmt.Errorf("%q: libbpf knows nothing that could follow perf_event; how often it runs is said by --frequency", rest)
	}
	return nil
}

func parseUser(p *place, rest string) error {
	path, function, ok := cutLast(rest)
	if !ok {
		return fmt.Errorf("%q is no place in a program; they are written PATH:FUNCTION, PATH:FUNCTION+OFFSET or PATH:0xOFFSET", rest)
	}
	name, offset, err := cutOffset(function)
	if err != nil {
		return err
	}
	p.path, p.name, p.offset = path, name, offset
	return nil
}

func parseUserPattern(p *place, rest string) error {
	path, function, ok := cutLast(rest)
	if !ok {
		return fmt.Errorf("%q is no place in a program; they are written PATH:PATTERN", rest)
	}
	p.path, p.name, p.many = path, function, true
	return nil
}

func parseStatic(p *place, rest string) error {
	path, name, ok := cutLast(rest)
	if ok {
		p.path, p.group, ok = cutLast(path)
	}
	if !ok {
		return fmt.Errorf("%q is no static probe; they are written PATH:PROVIDER:NAME", rest)
	}
	p.name, p.static = name, true
	return nil
}

// cutLast parts a path from a function; a path may have colons.
func cutLast(s string) (path, function string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i <= 0 || i == len(s)-1 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

// cutOffset parts a function from an offset behind it, which may be hexadecimal.
func cutOffset(s string) (name string, offset uint64, err error) {
	name, text, ok := strings.Cut(s, "+")
	if !ok {
		return name, 0, nil
	}
	if offset, err = strconv.ParseUint(text, 0, 63); err != nil || name == "" {
		return "", 0, fmt.Errorf("%q: behind + there is to be an offset in bytes", s)
	}
	return name, offset, nil
}

// Options say how the programs are attached.
type Options struct {
	Attach    map[string]string // by program: what stands in place of its section's name
	PID       int               // uprobes and timers are for this process only; 0 for all
	Frequency uint64            // of perf_event programs, in Hz
	// Static finds the places of a static probe (USDT) in a file.
	Static func(path, provider, name string) ([]StaticPlace, error)
}

// DefaultFrequency is how often programs of perf_event run, in Hz, if nothing is said: not in step with what the kernel does
// a hundred times a second.
const DefaultFrequency = 99

// Probes finds out where all programs go. It asks the kernel what patterns match and where functions are.
func (o *Object) Probes(k kernel.Target, opt Options) (probes []prog.Probe, err error) {
	for name := range opt.Attach {
		if o.coll.Programs[name] == nil {
			return nil, fmt.Errorf("--attach: there is no program %q%s", name, meant(name, o.Programs()))
		}
	}
	for _, name := range o.Programs() {
		spec := o.coll.Programs[name]
		section, given := opt.Attach[name]
		if !given {
			section = spec.SectionName
			if o.jumpedTo(name) {
				continue
			}
		}
		probe, err := o.probe(k, opt, name, section, spec)
		if err != nil {
			return nil, fmt.Errorf("program %s (section %s): %w", name, section, err)
		}
		probes = append(probes, probe...)
	}
	if len(probes) == 0 {
		return nil, errors.New("none of its programs attaches to anything")
	}
	return probes, nil
}

func (o *Object) probe(k kernel.Target, opt Options, name, section string, spec *ebpf.ProgramSpec) ([]prog.Probe, error) {
	at, err := parseSection(name, section)
	if err != nil {
		return nil, err
	}
	if err := suit(spec, section, at); err != nil {
		return nil, err
	}
	p := prog.Probe{
		Program: name, Kind: at.kind, Group: at.group, Name: at.name, Offset: at.offset,
		Shown: fmt.Sprintf("program %s (section %s)", name, section),
	}
	switch {
	case at.call:
		p.Name = syscallFunction(k, at.name)
		return []prog.Probe{p}, nil
	case at.static:
		return o.staticProbe(k, opt, p, at)
	case at.path != "":
		return userProbes(k, opt, p, at)
	case at.many:
		if p.Names, err = k.Match("kprobe", at.name); err != nil {
			return nil, err
		}
		if p.Name = ""; len(p.Names) == 0 {
			return nil, fmt.Errorf("this kernel has no function that %q matches and that can be probed", at.name)
		}
		if strings.ContainsAny(at.name, "*?") {
			p.Missing = prog.MissingWarn // a part of many
		}
	case at.kind == prog.Profile:
		p.PID = opt.PID
		if p.Frequency = opt.Frequency; p.Frequency == 0 {
			p.Frequency = DefaultFrequency
		}
	case at.kind == prog.Kprobe || at.kind == prog.Kretprobe:
		if call, ok := strings.CutPrefix(at.name, "sys_"); ok {
			if _, known := k.Syscall(call); known {
				if _, there := k.Symbol(at.name); !there {
					return nil, fmt.Errorf("this kernel has no function %s; give the one of the system call by --attach %s=%s/%s", at.name, name, callWord(at.kind), call)
				}
			}
		}
	}
	return []prog.Probe{p}, nil
}

func callWord(kind prog.ProbeKind) string {
	if kind == prog.Kretprobe {
		return "kretsyscall"
	}
	return "ksyscall"
}

// suit makes the program one of the kind that is attached there, where another place than its section's was given for it.
func suit(spec *ebpf.ProgramSpec, section string, at place) error {
	if section == spec.SectionName {
		return nil
	}
	type form struct {
		kind   ebpf.ProgramType
		attach ebpf.AttachType
	}
	want := form{ebpf.Kprobe, 0}
	switch at.kind {
	case prog.KprobeMulti, prog.KretprobeMulti:
		want.attach = ebpf.AttachTraceKprobeMulti
	case prog.KprobeSession:
		want.attach = ebpf.AttachTraceKprobeSession
	case prog.UprobeMulti, prog.UretprobeMulti:
		want.attach = ebpf.AttachTraceUprobeMulti
	case prog.UprobeSession:
		want.attach = 57 // BPF_TRACE_UPROBE_SESSION
	case prog.Tracepoint:
		want.kind = ebpf.TracePoint
	case prog.RawTracepoint:
		want.kind = ebpf.RawTracepoint
	case prog.Profile:
		want.kind = ebpf.PerfEvent
	case prog.TypedTracepoint:
		want = form{ebpf.Tracing, ebpf.AttachTraceRawTp}
	case prog.Fentry:
		want = form{ebpf.Tracing, ebpf.AttachTraceFEntry}
	case prog.Fexit:
		want = form{ebpf.Tracing, ebpf.AttachTraceFExit}
	case prog.FmodRet:
		want = form{ebpf.Tracing, ebpf.AttachModifyReturn}
	case prog.LSM:
		want = form{ebpf.LSM, ebpf.AttachLSMMac}
	case prog.Iter:
		want = form{ebpf.Tracing, ebpf.AttachTraceIter}
	}
	if spec.Type != ebpf.UnspecifiedProgram && spec.Type != want.kind {
		return fmt.Errorf("the program was written for %s (its own section is %s) and cannot be attached as %s", spec.Type, spec.SectionName, want.kind)
	}
	spec.Type, spec.AttachType, spec.AttachTo = want.kind, want.attach, at.name
	return nil
}

// syscallFunction is what the kernel calls the function of a system call.
func syscallFunction(k kernel.Target, call string) string {
	if k.Machine() == "arm64" {
		return "__arm64_sys_" + call
	}
	return "__x64_sys_" + call
}

// userProbes finds the places in programs and libraries.
func userProbes(k kernel.Target, opt Options, p prog.Probe, at place) ([]prog.Probe, error) {
	files, err := k.File(at.path, opt.PID)
	if err != nil {
		return nil, err
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("%s is %d files; give the path of one", at.path, len(files))
	}
	p.Path, p.PID, p.Name, p.Offset = files[0], opt.PID, "", 0
	if at.many {
		found, err := k.Functions(p.Path, at.name)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			p.Addresses = append(p.Addresses, f.Offset)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s has no function that %q matches, or is stripped", p.Path, at.name)
		}
		return []prog.Probe{p}, nil
	}
	if offset, err := strconv.ParseUint(at.name, 0, 63); err == nil {
		p.Addresses = []uint64{offset + at.offset}
		return []prog.Probe{p}, nil
	}
	function, _, _ := strings.Cut(at.name, "@") // a version of the symbol: the file's own default is taken
	symbol, ok := k.Address(p.Path, function)
	if !ok {
		return nil, fmt.Errorf("%s has no function %s, or is stripped", p.Path, function)
	}
	if at.kind == prog.Uretprobe && at.offset != 0 {
		return nil, errors.New("a uretprobe is on a whole function, without an offset")
	}
	p.Addresses = []uint64{symbol.Offset + at.offset}
	return []prog.Probe{p}, nil
}
