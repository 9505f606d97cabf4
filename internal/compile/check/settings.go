package check

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sonde/internal/compile/syntax"
)

// setting is one key of the config block.
type setting struct {
	name string
	doc  string
	// values are what it may be; nil for numbers and texts.
	values []string
	set    func(*Config, string) error
}

// Setting describes a key of the config block, for help and documentation.
type Setting struct{ Name, Default, Doc string }

// settingTable has all keys. Those that sonde has no use for are taken, and their values checked.
var settingTable = []setting{
	{"cache_user_symbols", "NONE: processes that have ended are not named; the others are alike", []string{"PER_PID", "PER_PROGRAM", "NONE"}, func(c *Config, v string) error { c.CacheUserSymbols = v; return nil }},
	{"cpp_demangle", "show C++ and Rust names as in the source", nil, onOff(func(c *Config) *bool { return &c.CppDemangle })},
	{"lazy_symbolication", "without effect here: processes that have ended are named all the same", nil, onOff(func(c *Config) *bool { return &c.LazySymbols })},
	{"license", "what the kernel is told the program's licence is", nil, license},
	{"log_size", "without effect here: there is room for all of the verifier's messages", nil, numeric(func(c *Config) *int { return &c.LogSize }, 1, 1<<30)},
	{"max_bpf_progs", "how many programs a script may become", nil, numeric(func(c *Config) *int { return &c.MaxBPFProgs }, 1, 1<<20)},
	{"max_cat_bytes", "how much cat() reads of a file", nil, numeric(func(c *Config) *int { return &c.MaxCatBytes }, 0, 1<<30)},
	{"max_map_keys", "how many keys a map holds", nil, numeric(func(c *Config) *int { return &c.MaxMapKeys }, 1, 1<<30)},
	{"max_probes", "how many attach points a script may have", nil, numeric(func(c *Config) *int { return &c.MaxProbes }, 1, 1<<20)},
	{"max_strlen", "bytes that str() and buf() read at most", nil, numeric(func(c *Config) *int { return &c.MaxStrlen }, 1, maxStrlen)},
	{"missing_probes", "what an attach point that is not there means", []string{"error", "warn", "ignore"}, func(c *Config, v string) error { c.MissingProbes = v; return nil }},
	{"on_stack_limit", "without effect here: the compiler decides", nil, numeric(func(c *Config) *int { return &c.OnStackLimit }, 0, 512)},
	{"perf_rb_pages", "pages of the ring buffer, 0 for as many as suit", nil, numeric(func(c *Config) *int { return &c.PerfRBPages }, 0, 1<<20)},
	{"print_maps_on_exit", "print all maps at the end", nil, onOff(func(c *Config) *bool { return &c.PrintMapsOnExit })},
	{"show_debug_info", "without effect here", nil, onOff(func(*Config) *bool { return new(bool) })},
	{"stack_mode", "how stacks are shown", []string{"bpftrace", "perf", "raw", "build_id"}, func(c *Config, v string) error { c.StackMode = v; return nil }},
	{"str_trunc_trailer", "what follows a text that was cut", nil, func(c *Config, v string) error { c.StrTruncTrailer = v; return nil }},
	{"use_blazesym", "without effect here", nil, onOff(func(*Config) *bool { return new(bool) })},
	{"unstable_tseries", "without effect here", unstableValues, func(*Config, string) error { return nil }},
	{"unstable_dw_ustack", "without effect here", unstableValues, func(*Config, string) error { return nil }},
	{"unstable_typeinfo", "without effect here", unstableValues, func(*Config, string) error { return nil }},
	{"unstable_import", "without effect here", unstableValues, func(*Config, string) error { return nil }},
	{"unstable_import_statement", "without effect here", unstableValues, func(*Config, string) error { return nil }},
	{"unstable_map_decl", "without effect here", unstableValues, func(*Config, string) error { return nil }},
	{"unstable_macro", "without effect here", unstableValues, func(*Config, string) error { return nil }},
}

var unstableValues = []string{"enable", "warn", "error", "true", "false"}

// renamedSettings are keys of older scripts.
var renamedSettings = map[string]string{
	"strlen": "max_strlen", "no_cpp_demangle": "cpp_demangle", "cat_bytes_max": "max_cat_bytes", "map_keys_max": "max_map_keys",
	"probes_max": "max_probes", "bpf_progs_max": "max_bpf_progs", "max_programs": "max_bpf_progs",
}

// maxStrlen bounds max_strlen: a string has to fit into a record and into the scratch memory of every CPU.
const maxStrlen = 64 << 10

// defaultConfig is what holds without a config block.
func defaultConfig() Config {
	return Config{
		CacheUserSymbols: "PER_PID", CppDemangle: true, LazySymbols: true, License: "GPL", LogSize: 1000000, MaxBPFProgs: 1024,
		MaxCatBytes: 10240, MaxMapKeys: 4096, MaxProbes: 1024, MaxStrlen: 1024, OnStackLimit: 32,
		PrintMapsOnExit: true, StackMode: "bpftrace", StrTruncTrailer: "..",
	}
}

// Settings lists the keys of the config block.
func Settings() []Setting {
	list := make([]Setting, len(settingTable))
	for i, s := range settingTable {
		list[i] = Setting{Name: s.name, Default: defaultText(s.name), Doc: s.doc}
		if s.values != nil {
			list[i].Doc += " (" + strings.Join(s.values, ", ") + ")"
		}
	}
	return list
}

// defaultText is what a setting is where nobody sets it; "" for those that have no value.
func defaultText(name string) string {
	c := defaultConfig()
	switch name {
	case "cache_user_symbols":
		return c.CacheUserSymbols
	case "cpp_demangle":
		return strconv.FormatBool(c.CppDemangle)
	case "lazy_symbolication":
		return strconv.FormatBool(c.LazySymbols)
	case "license":
		return c.License
	case "log_size":
		return strconv.Itoa(c.LogSize)
	case "max_bpf_progs":
		return strconv.Itoa(c.MaxBPFProgs)
	case "max_cat_bytes":
		return strconv.Itoa(c.MaxCatBytes)
	case "max_map_keys":
		return strconv.Itoa(c.MaxMapKeys)
	case "max_probes":
		return strconv.Itoa(c.MaxProbes)
	case "max_strlen":
		return strconv.Itoa(c.MaxStrlen)
	case "missing_probes":
		return "error"
	case "on_stack_limit":
		return strconv.Itoa(c.OnStackLimit)
	case "perf_rb_pages":
		return strconv.Itoa(c.PerfRBPages)
	case "print_maps_on_exit":
		return strconv.FormatBool(c.PrintMapsOnExit)
	case "stack_mode":
		return c.StackMode
	case "str_trunc_trailer":
		return c.StrTruncTrailer
	}
	return ""
}

// onOff is a setting that is on or off.
func onOff(field func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, v string) error {
		switch strings.ToLower(v) {
		case "true", "1":
			*field(c) = true
		case "false", "0":
			*field(c) = false
		default:
			return fmt.Errorf("is true or false, not %q", v)
		}
		return nil
	}
}

// numeric is a setting with bounds.
func numeric(field func(*Config) *int, low, high int) func(*Config, string) error {
	return func(c *Config, v string) error {
		n, err := strconv.ParseInt(v, 0, 64)
		if err != nil || n < int64(low) || n > int64(high) {
			return fmt.Errorf("is a number from %d to %d, not %q", low, high, v)
		}
		*field(c) = int(n)
		return nil
	}
}

// license takes what the kernel takes for GPL-compatible: the helpers that read memory are for those only.
func license(c *Config, v string) error {
	compatible := []string{"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"}
	if !slices.Contains(compatible, v) {
		return fmt.Errorf("has to be one that the kernel takes for compatible with the GPL (%s), not %q", strings.Join(compatible, ", "), v)
	}
	c.License = v
	return nil
}

// settings reads the config block, then what the environment says, which wins.
func (c *checker) settings() {
	c.info.Config = defaultConfig()
	if c.program.Config != nil {
		seen := make(map[string]bool)
		for _, item := range c.program.Config.Items {
			if item.Key == "" {
				continue
			}
			if seen[item.Key] {
				c.warnf("config", item.Span(), "%s is set twice", item.Key)
			}
			seen[item.Key] = true
			c.set(item.Span(), item.Key, settingText(item.Value), "")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.options.Settings)) {
		c.set(syntax.Span{}, key, c.options.Settings[key], " (from the environment: BPFTRACE_"+strings.ToUpper(key)+")")
	}
}

// set puts one setting into force.
func (c *checker) set(at syntax.Span, key, value, origin string) {
	name := strings.ToLower(key)
	name = strings.TrimPrefix(name, "bpftrace_")
	if to := renamedSettings[name]; to != "" {
		if origin == "" {
			c.warnf("config", at, "%s is called %s now", name, to)
		}
		if name == "no_cpp_demangle" {
			value = map[string]string{"1": "0", "true": "false", "0": "1", "false": "true"}[value]
		}
		name = to
	}
	i := slices.IndexFunc(settingTable, func(s setting) bool { return s.name == name })
	if i < 0 {
		names := make([]string, len(settingTable))
		for i, s := range settingTable {
			names[i] = s.name
		}
		if origin != "" {
			// It may be another program's, or that of another version.
			c.warnf("config", at, "there is no setting %q%s", key, origin).suggest(name, names)
			return
		}
		c.errorf(at, "there is no setting %q%s", key, origin).suggest(name, names)
		return
	}
	s := &settingTable[i]
	if s.values != nil {
		j := slices.IndexFunc(s.values, func(v string) bool { return strings.EqualFold(v, value) })
		if j < 0 {
			c.errorf(at, "%s%s is one of %s, not %q", name, origin, strings.Join(s.values, ", "), value)
			return
		}
		value = s.values[j]
	}
	if err := s.set(&c.info.Config, value); err != nil {
		c.errorf(at, "%s%s %v", name, origin, err)
	}
}

// settingText is the value of a setting as text.
func settingText(e syntax.Expr) string {
	switch e := e.(type) {
	case *syntax.IntLit:
		if e.Neg {
			return strconv.FormatInt(int64(e.Value), 10)
		}
		return strconv.FormatUint(e.Value, 10)
	case *syntax.StringLit:
		return e.Value
	case *syntax.BoolLit:
		return strconv.FormatBool(e.Value)
	case *syntax.Ident:
		return e.Name
	}
	return ""
}
