package profile

import (
	"path"
	"slices"
	"strings"
)

// EndOf says how a stack ended that was walked by frame pointers: frames are its named ones, the innermost first, walked is how many
// addresses the walk gave, limit how many it may give.
//
// Such a walk does not know why it ended. It came to the thread's first function if that is one with which threads begin. Where a
// C library without names was reached from other code, that is taken for the beginning too: it is what calls main and the functions of
// threads.
func EndOf(frames []Frame, walked, limit int) End {
	switch {
	case walked == 0 || len(frames) == 0:
		return Missing
	case walked >= limit:
		return Cut
	}
	last := &frames[len(frames)-1]
	switch {
	case BeginsThread(last.Name), returnsFromSignal(last.Name), last.Kernel:
		return Complete
	case last.Name == "" && ofLibrary(last.Module) && len(frames) > 1 && !ofLibrary(frames[len(frames)-2].Module):
		return Complete
	case !slices.ContainsFunc(frames, func(f Frame) bool { return f.Name != "" || f.Module != "" }):
		return Complete // of what has no names at all, nothing can be said
	}
	return NoFramePointer
}

// firsts are functions that threads begin with, and those of Go's runtime that run on stacks of their own.
var firsts = []string{
	"_start", "_start_c", "libc_start_main_stage2", "start_thread", "clone", "clone3", "__clone", "__clone3", "__clone_internal", "thread_start", "__thread_start",
	"_dl_start", "_dl_start_user", "_dlstart",
	"runtime.goexit", "runtime.goexit0", "runtime.mstart", "runtime.mcall", "runtime.systemstack_switch", "runtime.morestack", "runtime.rt0_go",
	"runtime.asmcgocall", "runtime.sigreturn__sigaction", "crosscall1", "crosscall_amd64",
}

// BeginsThread says whether threads begin with a function of that name: no caller is missing above it. What a compiler split off
// from a function counts as the function.
func BeginsThread(name string) bool {
	name, _, _ = strings.Cut(name, ".part.")
	name, _, _ = strings.Cut(name, ".cold")
	name, _, _ = strings.Cut(name, "@")
	name = strings.TrimSuffix(name, ".abi0")
	return slices.Contains(firsts, name) || strings.HasPrefix(name, "__libc_start") || strings.HasPrefix(name, "_rt0_")
}

// returnsFromSignal says whether a name is of what signal handlers return to, where the walk may end.
func returnsFromSignal(name string) bool {
	return name == "__restore_rt" || name == "__kernel_rt_sigreturn"
}

// ofLibrary says whether a module is a C library or its loader.
func ofLibrary(module string) bool {
	base := path.Base(module)
	for _, prefix := range []string{"libc.so", "libc-", "libc.musl", "libpthread", "ld-linux", "ld-musl", "ld-2.", "ld.so"} {
		if strings.HasPrefix(base, prefix) {
			return true
		}
	}
	return false
}
