package proc

import (
	"strconv"

	"sonde/internal/prog"
)

// The positions of the fields in TreeType.Fields.
const (
	tTook = iota
	tCPU
	tEnd
	tPID
	tProcess
	treeFields
)

// TreeType describes a line of the tree that ends a run.
var TreeType = &prog.RowType{
	Name: "proc_tree",
	Fields: []prog.Field{
		tTook:    {Key: "took_ns", Kind: prog.Duration, Doc: "from its beginning, or when it was first heard of, to its end; of several: of all together"},
		tCPU:     {Key: "cpu_ns", Kind: prog.Duration, Doc: "CPU time"},
		tEnd:     {Key: "end", Kind: prog.Text, Doc: "exit status, signal, or that it is alive"},
		tPID:     {Key: "pid", Kind: prog.Uint, Doc: "process id"},
		tProcess: {Key: "process", Kind: prog.Words, Doc: "the command line, below that of its parent"},
	},
	Columns: []prog.Column{
		{Head: "TOOK(MS)", Field: "took_ns", Width: 12, Right: true, Divide: 1e6, Decimals: 3},
		{Head: "CPU(MS)", Field: "cpu_ns", Width: 12, Right: true, Divide: 1e6, Decimals: 3},
		{Head: "END", Field: "end", Width: 12},
		{Head: "PID", Field: "pid", Width: 7},
		{Head: "PROCESS", Field: "process", MaxWords: treeWords},
	},
}

const (
	treeWords = 8    // of a command line
	treeLines = 2000 // more nobody reads; the timeline has all
	treeDepth = 64   // levels that are shown as such
	alike     = 5    // so many children that are alike and have none become one line
)

// group is one line: a process, or several that are alike.
type group struct {
	of []*process
}

// Tree gives the run as a tree to emit, a row a line. It returns how many processes it has no line for.
func (h *History) Tree(emit func(*prog.Row) error) (hidden int, err error) {
	h.finish()
	t := &treeMaker{emit: emit, row: prog.Row{Type: TreeType, Values: make([]prog.Value, treeFields)}}
	var roots []*process
	for _, p := range h.all {
		if p.parent == nil {
			roots = append(roots, p)
		}
	}
	err = t.level(roots, nil, 0)
	return len(h.all) - t.shown, err
}

type treeMaker struct {
	emit  func(*prog.Row) error
	row   prog.Row
	lines int
	shown int
	words [][]byte
	end   []byte
}

// level writes the lines of processes that have the same parent, each followed by its own children. prefix is what the
// lines of their descendants begin with.
func (t *treeMaker) level(list []*process, prefix []byte, depth int) error {
	groups := grouped(list)
	for i, g := range groups {
		branch, below := "├─ ", "│  "
		if i == len(groups)-1 {
			branch, below = "└─ ", "   "
		}
		if depth == 0 {
			branch, below = "", ""
		}
		if depth > treeDepth {
			below = ""
		}
		if t.lines >= treeLines {
			return nil
		}
		if err := t.line(g, append(append([]byte(nil), prefix...), branch...)); err != nil {
			return err
		}
		if len(g.of) == 1 {
			if err := t.level(g.of[0].children, append(append([]byte(nil), prefix...), below...), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *treeMaker) line(g group, prefix []byte) error {
	t.lines++
	t.shown += len(g.of)
	p := g.of[0]
	var took, cpu uint64
	known := true
	for _, one := range g.of {
		took += one.end - one.start
		cpu += one.how.cpu
		known = known && one.how.usage() && one.how.flags&exitPart == 0
	}
	v := t.row.Values
	v[tTook].Num = int64(took)
	v[tCPU] = prog.Value{Num: int64(cpu), Null: !known}
	t.end = appendEnd(t.end[:0], p)
	v[tEnd].Bytes = t.end
	v[tPID] = prog.Value{Num: int64(p.pid), Null: len(g.of) > 1}
	t.words = t.words[:0]
	if args := p.now().args; len(args) > 0 && len(g.of) == 1 {
		t.words = appendWords(t.words, args)
		t.words[0] = append(prefix, t.words[0]...)
	} else {
		t.words = append(t.words, append(prefix, p.now().name...))
	}
	switch {
	case len(g.of) > 1:
		t.words = append(t.words, strconv.AppendInt([]byte("×"), int64(len(g.of)), 10))
	case p.now().fork:
		t.words = append(t.words, []byte("(fork)"))
	}
	v[tProcess].List = t.words
	return t.emit(&t.row)
}

// grouped puts those that are alike together: leaves of the same name that ended in the same way.
func grouped(list []*process) (groups []group) {
	type key struct {
		name string
		fork bool
		end  string
	}
	leaves := make(map[key][]*process)
	of := func(p *process) key { return key{p.now().name, p.now().fork, string(appendEnd(nil, p))} }
	for _, p := range list {
		if len(p.children) == 0 {
			leaves[of(p)] = append(leaves[of(p)], p)
		}
	}
	for _, p := range list {
		if len(p.children) > 0 {
			groups = append(groups, group{[]*process{p}})
			continue
		}
		same := leaves[of(p)]
		switch {
		case len(same) < alike:
			groups = append(groups, group{[]*process{p}})
		case same[0] == p:
			groups = append(groups, group{same})
		}
	}
	return groups
}

// appendEnd says how a process ended.
func appendEnd(to []byte, p *process) []byte {
	switch {
	case !p.ended:
		return append(to, "alive"...)
	case p.how.signal() != 0 && p.how.core():
		return append(append(to, signalName(p.how.signal())...), "+core"...)
	case p.how.signal() != 0:
		return append(to, signalName(p.how.signal())...)
	}
	return strconv.AppendUint(to, uint64(p.how.status()), 10)
}
