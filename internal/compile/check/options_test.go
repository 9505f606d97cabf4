package check

import (
	"testing"

	"sonde/internal/compile/syntax"
	"sonde/internal/kernel"
)

// TestOptions checks what positional parameters, options of the script and settings come to.
func TestOptions(t *testing.T) {
	o := Options{
		Positional: []string{"42", "text", "-3"},
		Named:      map[string]string{"n": "0x10", "on": "", "name": "given"},
		Settings:   map[string]string{"max_strlen": "99"},
	}
	for expr, want := range map[string]Const{
		"$1":                            {Kind: ConstInt, Int: 42},
		"$2":                            {Kind: ConstString, Str: "text"},
		"$3":                            {Kind: ConstInt, Int: 1<<64 - 3},
		"$4":                            {Kind: ConstInt},
		"str($4)":                       {Kind: ConstString},
		"str($1)":                       {Kind: ConstString, Str: "42"},
		"str($2, 2)":                    {Kind: ConstString, Str: "te"},
		"$#":                            {Kind: ConstInt, Int: 3},
		`getopt("n", 5)`:                {Kind: ConstInt, Int: 16},
		`getopt("m", -5)`:               {Kind: ConstInt, Int: 1<<64 - 5},
		`getopt("on")`:                  {Kind: ConstBool, Int: 1},
		`getopt("off")`:                 {Kind: ConstBool},
		`getopt("off", true, "a help")`: {Kind: ConstBool, Int: 1},
		`getopt("name", "x")`:           {Kind: ConstString, Str: "given"},
		`getopt("other", "x")`:          {Kind: ConstString, Str: "x"},
		"sizeof(comm) + sizeof(uint64)": {Kind: ConstInt, Int: 24},
		`comptime (1 + 2)`:              {Kind: ConstInt, Int: 3},
		`is_str(comm)`:                  {Kind: ConstBool, Int: 1},
		`is_ptr(curtask)`:               {Kind: ConstBool, Int: 1},
		`kaddr("vfs_read")`:             {Kind: ConstInt, Int: 0xffffffff81200000},
		`cgroupid("/")`:                 {Kind: ConstInt, Int: 1},
		`SKB_DROP_REASON_NO_SOCKET`:     {Kind: ConstInt, Int: 3},
	} {
		info := checked(t, "begin { print("+expr+"); }", kernel.NewFixture(), o)
		call := info.Programs[0].Decl.Body.Stmts[0].(*syntax.ExprStmt).X.(*syntax.Call)
		if k := info.Consts[call.Args[0]]; k == nil || *k != want {
			t.Errorf("%s: got %v, want %v", expr, k, want)
		}
		if info.Config.MaxStrlen != 99 {
			t.Errorf("max_strlen is %d", info.Config.MaxStrlen)
		}
	}
	info := checked(t, `begin { print(getopt("depth", 35, "how deep")); print(getopt("v")); print(getopt("depth", 35)); }`, kernel.NewFixture(), Options{})
	if len(info.Help) != 2 || info.Help[0] != (ScriptOption{"depth", "35", "how deep"}) || info.Help[1] != (ScriptOption{"v", "false", ""}) {
		t.Errorf("help: %v", info.Help)
	}
}

// TestTable checks that every builtin says what it is.
func TestTable(t *testing.T) {
	seen := make(map[string]bool)
	for _, b := range Builtins() {
		if seen[b.Name] {
			t.Errorf("%s is there twice", b.Name)
		}
		seen[b.Name] = true
		if b.Usage == "" || b.Doc == "" || b.value == nil && !b.Todo || b.Min > b.Max && b.Max >= 0 {
			t.Errorf("%s is not complete", b.Name)
		}
		if NotCompiled(b.Name) != b.Todo {
			t.Errorf("NotCompiled(%s) is wrong", b.Name)
		}
	}
	for _, s := range Settings() {
		if s.Name == "" || s.Doc == "" {
			t.Errorf("setting %q is not complete", s.Name)
		}
	}
}
