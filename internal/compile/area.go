package compile

import (
	"sonde/internal/compile/ir"
)

// Names of the maps that a compiled script has besides its own.
const (
	mapRing     = "ring"
	mapCounters = "counters"
	mapCells    = "cells"
	mapTexts    = "texts"
	mapScratch  = "scratch" // + "_" + program's name
)

// Threads is the map of tables by thread, see Map.Sets.
const Threads = "threads"

// onStackMost is the largest object that is kept on the stack; larger ones are in the scratch memory.
const onStackMost = 64

// cellArea lays out the values of an array map of one entry, which programs address directly.
type cellArea struct{ size int }

// add makes room and returns the offset.
func (a *cellArea) add(size int) int {
	at := (a.size + 63) &^ 63 // a cache line each: neighbours are written by other CPUs
	a.size = at + size
	return at
}

// textArea is read-only data: string constants, tables, zeroes. Equal texts are kept once.
type textArea struct {
	data []byte
	at   map[string]int
}

// add returns the offset of data, aligned to 8.
func (a *textArea) add(data []byte) int {
	if at, ok := a.at[string(data)]; ok {
		return at
	}
	for len(a.data)%8 != 0 {
		a.data = append(a.data, 0)
	}
	at := len(a.data)
	a.data = append(a.data, data...)
	if a.at == nil {
		a.at = map[string]int{}
	}
	a.at[string(data)] = at
	return at
}

// scratchArea hands out pieces of the program's scratch memory, see scratch.go. What is handed out inside a mark is handed
// out again after its release. Callbacks go on where their outer function is.
type scratchArea struct {
	base ir.Value // the memory's address; made by the prologue of the function
	size *scratchSize
}

// kept is what no release gives back.
type scratchSize struct{ used, most, kept int }

// alloc gives memory of so many bytes: on the stack if it is small, else in the scratch area. It holds garbage.
func (f *fn) alloc(size, align int, name string) mem {
	if size <= onStackMost {
		return mem{slot: f.Func.NewSlot((size+7)&^7, 8, name), onSlot: true}
	}
	return f.allocScratch(size)
}

// allocLasting gives memory that no release takes back.
func (f *fn) allocLasting(size, align int, name string) mem {
	m := f.alloc(size, align, name)
	if !m.onSlot {
		f.scratch.size.kept = f.scratch.size.used
	}
	return m
}

func (f *fn) allocScratch(size int) mem {
	s := f.scratch.size
	at := (s.used + 7) &^ 7
	s.used = at + size
	s.most = max(s.most, s.used)
	return mem{base: f.scratch.base, off: at}
}

// mark and release bracket a statement: what alloc gave in between is free again.
func (f *fn) mark() int     { return f.scratch.size.used }
func (f *fn) release(m int) { f.scratch.size.used = max(m, f.scratch.size.kept) }
