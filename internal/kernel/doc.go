// Package kernel holds facts about the running kernel: BTF, tracefs, features, lockdown, capabilities.
//
// It may read /proc, /sys and BTF. It attaches nothing and owns no links: what can only be found by loading or
// attaching a program is found in attach, and told in this package's terms.
package kernel
