// Package doctor is `sonde doctor`: what this kernel and these privileges allow, which sonde commands work therefore, and
// what to do about the rest.
//
// Unlike the other tools it traces nothing and has no rows: it may import attach, for the trying, and kernel, for the facts,
// and writes its report itself. It touches neither files nor BPF directly, and never exits or prints on its own.
package doctor
