package symbol

import (
	"strings"
	"sync"

	"github.com/ianlancetaylor/demangle"
)

const (
	// A mangled name can stand for one that is exponentially longer.
	maxMangled      = 4096
	maxDemangledLog = 13
	maxCached       = 1 << 14
)

var demangled = struct {
	sync.Mutex
	names map[string]string
}{names: map[string]string{}}

// Demangle returns the C++ or Rust name that a symbol stands for, with its parameters; any other name as it is.
func Demangle(name string) string {
	if !mangled(name) {
		return name
	}
	demangled.Lock()
	text, found := demangled.names[name]
	demangled.Unlock()
	if found {
		return text
	}
	text = demangleWith(name)
	demangled.Lock()
	defer demangled.Unlock()
	if len(demangled.names) >= maxCached {
		clear(demangled.names)
	}
	demangled.names[name] = text
	return text
}

// DemangleBare is Demangle without the function's parameters and return type.
func DemangleBare(name string) string {
	if !mangled(name) {
		return name
	}
	return demangleWith(name, demangle.NoParams)
}

func mangled(name string) bool {
	return len(name) <= maxMangled && (strings.HasPrefix(name, "_Z") || strings.HasPrefix(name, "_R") ||
		strings.HasPrefix(name, "___Z") || strings.HasPrefix(name, "_GLOBAL_"))
}

func demangleWith(name string, options ...demangle.Option) (text string) {
	// The library panics with what it does not expect.
	defer func() {
		if recover() != nil {
			text = name
		}
	}()
	if text = demangle.Filter(name, append(options, demangle.MaxLength(maxDemangledLog))...); text == "" {
		return name
	}
	return text
}
