package kernel

import (
	"path/filepath"
	"strings"
)

// LockdownMode is how far the kernel protects itself against root (kernel_lockdown(7)).
type LockdownMode string

const (
	LockdownNone            LockdownMode = "none"
	LockdownIntegrity       LockdownMode = "integrity"       // the kernel cannot be changed; reading it by BPF is still allowed
	LockdownConfidentiality LockdownMode = "confidentiality" // nor can it be read: no kprobes, no tracefs, no bpf_probe_read_kernel
	LockdownUnknown         LockdownMode = "unknown"         // securityfs is not mounted, not readable, or the kernel has no lockdown
)

// Lockdown returns the mode in force, read from securityfs.
func Lockdown() LockdownMode { return lockdown("/") }

func lockdown(root string) LockdownMode {
	text, err := readSmall(filepath.Join(root, "sys/kernel/security/lockdown"), 256)
	if err != nil {
		return LockdownUnknown
	}
	// The file lists the modes and marks the one in force: "none [integrity] confidentiality".
	_, rest, _ := strings.Cut(text, "[")
	mode, _, closed := strings.Cut(rest, "]")
	switch m := LockdownMode(mode); {
	case !closed:
		return LockdownUnknown
	case m == LockdownNone, m == LockdownIntegrity, m == LockdownConfidentiality:
		return m
	}
	return LockdownUnknown
}

// ActiveLSMs returns the security modules that the kernel asks, in its order; nil where securityfs is not mounted. It is
// for display: whether BPF LSM programs run is found by attach.Try.
func ActiveLSMs() []string { return activeLSMs("/") }

func activeLSMs(root string) []string {
	text, err := readSmall(filepath.Join(root, "sys/kernel/security/lsm"), 4096)
	if err != nil {
		return nil
	}
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' })
}
