package kernel

import (
	"runtime"
	"sync"
)

// Trials are what is known of a kernel only by loading programs into it; attach has them. Answers are kept, and nothing is tried
// before it is asked for.
type Trials interface {
	Has(Feature) bool
	Helper(progType, helper uint32) bool
}

// live is the running kernel. Every field behind a sync.Once or the mutex is an answer that was asked for.
type live struct {
	trials Trials
	root   string                 // "/", but in tests
	traces func() (string, error) // the root of tracefs

	possible, online func() int
	types            func() *BTFTypes

	mu        sync.Mutex
	traced    string // what the function tracer lists; "" is not read yet
	formats   map[string]answer[*TracepointFormat]
	symbols   map[string]kernelSymbol
	matches   map[string]answer[[]string]
	cgroups   map[string]answer[uint64]
	files     map[fileQuestion]answer[[]string]
	functions map[fileQuestion]answer[[]UserSymbol]
}

// answer is what a question gave, right or wrong.
type answer[T any] struct {
	value T
	err   error
}

// fileQuestion is a question about a file: a name and the pid, or a path and the pattern.
type fileQuestion struct {
	name, pattern string
	pid           int
}

// Live returns the running kernel. It does nothing before it is asked. Without trials, nil, it has no features.
func Live(trials Trials) Target { return newLive(trials, "/", TracefsDir) }

func newLive(trials Trials, root string, traces func() (string, error)) *live {
	l := &live{
		trials: trials, root: root, traces: traces,
		formats:   make(map[string]answer[*TracepointFormat]),
		symbols:   make(map[string]kernelSymbol),
		matches:   make(map[string]answer[[]string]),
		cgroups:   make(map[string]answer[uint64]),
		files:     make(map[fileQuestion]answer[[]string]),
		functions: make(map[fileQuestion]answer[[]UserSymbol]),
	}
	l.possible = sync.OnceValue(func() int { return countCPUs(root, "possible") })
	l.online = sync.OnceValue(func() int { return countCPUs(root, "online") })
	l.types = sync.OnceValue(func() *BTFTypes {
		open := RunningTypes
		if root != "/" {
			open = func() (*BTFTypes, error) { return OpenBTF(l.path(VmlinuxBTF)) }
		}
		b, err := open()
		if err != nil {
			return nil
		}
		return b
	})
	return l
}

// kept returns the answer that is in a map of l, or finds it and keeps it.
func kept[K comparable, T any](l *live, answers map[K]answer[T], question K, find func() (T, error)) (T, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, known := answers[question]
	if !known {
		a.value, a.err = find()
		answers[question] = a
	}
	return a.value, a.err
}

func (l *live) Machine() string { return runtime.GOARCH }

func (l *live) Has(f Feature) bool { return l.trials != nil && l.trials.Has(f) }

func (l *live) Helper(progType, helper uint32) bool {
	return l.trials != nil && l.trials.Helper(progType, helper)
}

func (l *live) Kfunc(name string) (id uint32, ok bool) { return kfunc(l.types(), name) }

func (l *live) PossibleCPUs() int { return l.possible() }

func (l *live) OnlineCPUs() int { return l.online() }

func (l *live) Types() *BTFTypes { return l.types() }

func (l *live) Tracepoint(group, name string) (*TracepointFormat, error) {
	return kept(l, l.formats, group+":"+name, func() (*TracepointFormat, error) {
		dir, err := l.traces()
		if err != nil {
			return nil, err
		}
		return readFormat(dir, group, name)
	})
}

func (l *live) Symbol(name string) (addr uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.symbol("", name)
	return s.addr, s.addr != 0
}

// symbol looks a symbol up in kallsyms. The lock is held.
func (l *live) symbol(module, name string) kernelSymbol {
	question := name
	if module != "" {
		question = module + ":" + name
	}
	s, known := l.symbols[question]
	if !known {
		s = findSymbol(l.path("/proc/kallsyms"), module, name)
		l.symbols[question] = s
	}
	return s
}

func (l *live) Match(kind, pattern string) ([]string, error) {
	return kept(l, l.matches, kind+" "+pattern, func() ([]string, error) { return l.match(kind, pattern) })
}

func (l *live) Syscall(name string) (nr int, ok bool) { return SyscallNumberOn(l.Machine(), name) }

func (l *live) CgroupID(path string) (uint64, error) {
	return kept(l, l.cgroups, path, func() (uint64, error) { return cgroupID(l.root, path) })
}

func (l *live) File(name string, pid int) ([]string, error) {
	return kept(l, l.files, fileQuestion{name: name, pid: pid}, func() ([]string, error) { return findFile(l.root, name, pid) })
}

func (l *live) Functions(path, pattern string) ([]UserSymbol, error) {
	return kept(l, l.functions, fileQuestion{name: path, pattern: pattern}, func() ([]UserSymbol, error) {
		return elfFunctions(path, pattern)
	})
}

func (l *live) Address(path, name string) (UserSymbol, bool) { return elfAddress(path, name) }

func (l *live) Place(path string, addr uint64) (offset uint64, ok bool) { return elfPlace(path, addr) }

func (l *live) Code(path string, from, to uint64) ([]byte, error) { return readCode(path, from, to) }
