package object

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// acting are helpers that do something to the traced process or to the system.
var acting = map[asm.BuiltinFunc]string{
	asm.FnSendSignal:       "sends signals (bpf_send_signal)",
	asm.FnSendSignalThread: "sends signals (bpf_send_signal_thread)",
	asm.FnOverrideReturn:   "makes functions of the kernel fail (bpf_override_return)",
	asm.FnProbeWriteUser:   "writes into the memory of processes (bpf_probe_write_user)",
}

// actingKfuncs are functions of the kernel of that kind.
var actingKfuncs = []string{"bpf_send_signal_task", "bpf_set_dentry_xattr", "bpf_remove_dentry_xattr"}

// Unsafe says of each program that may change what the system does how it does so, in the order of their names.
func (o *Object) Unsafe() (reasons []string) {
	for _, name := range o.Programs() {
		p := o.coll.Programs[name]
		for _, what := range changes(p) {
			reasons = append(reasons, fmt.Sprintf("program %s (section %s) %s", name, p.SectionName, what))
		}
	}
	return reasons
}

func changes(p *ebpf.ProgramSpec) (what []string) {
	switch {
	case p.Type == ebpf.LSM:
		what = append(what, "can deny what processes do (LSM)")
	case p.Type == ebpf.Tracing && p.AttachType == ebpf.AttachModifyReturn:
		what = append(what, "can change what a function of the kernel returns (fmod_ret)")
	case p.Type == ebpf.RawTracepointWritable:
		what = append(what, "can write into what the kernel traces (raw_tp.w)")
	}
	for i := range p.Instructions {
		ins := &p.Instructions[i]
		switch {
		case ins.IsKfuncCall() && slices.Contains(actingKfuncs, ins.Reference()):
			what = append(what, "acts ("+ins.Reference()+")")
		case ins.IsBuiltinCall():
			if text := acting[asm.BuiltinFunc(ins.Constant)]; text != "" {
				what = append(what, text)
			}
		}
	}
	slices.Sort(what)
	return slices.Compact(what)
}
