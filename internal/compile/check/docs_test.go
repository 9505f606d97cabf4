package check

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var updateDocs = flag.Bool("docs", false, "write the tables of docs/language.md")

// The tables of the language's documentation are those of the checker: TestDocs compares, and writes them with -docs.
func TestDocs(t *testing.T) {
	const path = "../../../docs/language.md"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, table := range []struct {
		name string
		rows func() string
	}{
		{"probes", docProbes},
		{"variables", func() string {
			return docBuiltins(func(b *Builtin) bool { return (b.Max == 0 || b.Bare) && !b.Aggregate })
		}},
		{"functions", func() string {
			return docBuiltins(func(b *Builtin) bool { return b.Max != 0 && !b.Bare && !b.Aggregate })
		}},
		{"aggregates", func() string { return docBuiltins(func(b *Builtin) bool { return b.Aggregate }) }},
		{"later", docLater},
		{"settings", docSettings},
	} {
		begin, end := "<!-- table:"+table.name+" -->\n", "<!-- /table:"+table.name+" -->"
		before, rest, ok := strings.Cut(text, begin)
		old, after, closed := strings.Cut(rest, end)
		if !ok || !closed {
			t.Errorf("docs/language.md has no place for the table %s", table.name)
			continue
		}
		if rows := table.rows(); rows != old {
			text = before + begin + rows + end + after
			if !*updateDocs {
				t.Errorf("the table %s is not what the checker knows; write it: go test ./internal/compile/check -run TestDocs -docs", table.name)
			}
		}
	}
	if *updateDocs {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func docProbes() string {
	var b strings.Builder
	b.WriteString("| probe | short | written |\n|---|---|---|\n")
	for _, p := range providers {
		if notYet(p.kind) {
			continue
		}
		short := ""
		for _, a := range p.aliases {
			short += "`" + a + "` "
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` |\n", p.name, strings.TrimSpace(short), p.usage)
	}
	return b.String()
}

// notYet says of probe kinds whether they are compiled.
func notYet(k ProbeKind) bool { return k == USDT || k == Watchpoint || k == Test || k == Bench }

func docBuiltins(wanted func(*Builtin) bool) string {
	var b strings.Builder
	b.WriteString("| | what it gives or does | where |\n|---|---|---|\n")
	for _, row := range Builtins() {
		if row.Todo || !wanted(row) {
			continue
		}
		where := ""
		if row.Probes != 0 {
			where = (row.Probes &^ setOf(USDT, Watchpoint, Test, Bench)).String()
		}
		doc := row.Doc
		if row.Unsafe {
			doc += " (`--unsafe`)"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", cell(row.Usage), cell(doc), where)
	}
	return b.String()
}

func docLater() string {
	var names []string
	for _, p := range providers {
		if notYet(p.kind) {
			names = append(names, "`"+p.name+"` probes")
		}
	}
	for _, row := range Builtins() {
		if row.Todo {
			names = append(names, "`"+row.Name+"`")
		}
	}
	return strings.Join(names, ", ") + ".\n"
}

func docSettings() string {
	var b strings.Builder
	b.WriteString("| setting | default | |\n|---|---|---|\n")
	for _, s := range Settings() {
		if strings.HasPrefix(s.Name, "unstable_") {
			continue
		}
		def := ""
		if s.Default != "" {
			def = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.Name, def, cell(s.Doc))
	}
	return b.String()
}
