package cli

import (
	"sync"

	"sonde/internal/profile"
	"sonde/internal/symbol"
)

// profileFrames turns frames of a process into those of a profile. Mangled says that names stay as the files have them.
func profileFrames(dst []profile.Frame, frames []symbol.Frame, mangled bool) []profile.Frame {
	for _, f := range frames {
		name := f.Name
		if mangled && f.Mangled != "" {
			name = f.Mangled
		}
		dst = append(dst, profile.Frame{
			Name: name, Mangled: f.Mangled, File: f.File, Line: f.Line, Module: f.Module, BuildID: f.BuildID,
			Address: f.Address, Offset: f.Offset, Base: f.Base, Inlined: f.Inlined,
		})
	}
	return dst
}

var kernelBuild = sync.OnceValue(symbol.KernelBuildID)

// kernelFrames turns frames of the kernel into those of a profile.
func kernelFrames(k *symbol.Kernel, addrs []uint64) []profile.Frame {
	frames := make([]profile.Frame, 0, len(addrs))
	build := kernelBuild()
	for i, addr := range addrs {
		at := addr
		if i > 0 && addr > 0 {
			at-- // it is where a call returns to
		}
		f := k.Lookup(at)
		frame := profile.Frame{Name: f.Name, Module: f.Module, Address: addr, Offset: f.Offset + addr - at, Kernel: true}
		if f.Module == symbol.KernelModule {
			frame.BuildID = build
		}
		frames = append(frames, frame)
	}
	return frames
}
