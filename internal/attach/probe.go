package attach

import (
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"

	"sonde/internal/prog"
)

// attachProbe puts one program on its probe. The error says why not and what to do, without naming the probe. With an error
// there may be links all the same, for a probe of which a part is missing and may be.
func attachProbe(p *prog.Probe, program *ebpf.Program) ([]io.Closer, error) {
	switch p.Kind {
	case prog.RawTracepoint:
		return one(openRawTracepoint(p, program))
	case prog.TypedTracepoint:
		return one(openTracing(p, program, ebpf.AttachTraceRawTp))
	case prog.Fentry:
		return one(openTracing(p, program, ebpf.AttachTraceFEntry))
	case prog.Fexit:
		return one(openTracing(p, program, ebpf.AttachTraceFExit))
	case prog.FmodRet:
		return one(openTracing(p, program, ebpf.AttachModifyReturn))
	case prog.LSM:
		return one(openTracing(p, program, ebpf.AttachLSMMac))
	case prog.Tracepoint:
		return one(openTracepointProbe(p, program))
	case prog.Kprobe, prog.Kretprobe:
		return one(openKprobe(p, program))
	case prog.KprobeMulti, prog.KretprobeMulti, prog.KprobeSession:
		return openKprobeMulti(p, program)
	case prog.Uprobe, prog.Uretprobe:
		return openUprobes(p, program)
	case prog.UprobeMulti, prog.UretprobeMulti, prog.UprobeSession:
		return one(openUprobeMulti(p, program))
	case prog.Interval, prog.Profile:
		return openTimer(p, program)
	case prog.Software, prog.Hardware:
		return openCounter(p, program)
	case prog.Watchpoint:
		return openWatchpoint(p, program)
	case prog.Iter:
		return one(openIter(p, program))
	}
	return nil, fmt.Errorf("kind %d is not known", p.Kind)
}

func one[C io.Closer](c C, err error) ([]io.Closer, error) {
	if err != nil {
		return nil, explained(err)
	}
	return []io.Closer{c}, nil
}

func closeAll(closers []io.Closer) {
	inParallel(len(closers), closersAtOnce, func(i int) { closers[i].Close() })
}

// advice is an error that says all there is to say: what is wrong and what to do.
type advice struct{ text string }

func (a advice) Error() string { return a.text }

func adviceError(format string, args ...any) error {
	return advice{fmt.Errorf(format, args...).Error()}
}

// explained adds to an error of the kernel what may be behind it.
func explained(err error) error {
	var told advice
	if errors.As(err, &told) {
		return err
	}
	return outOfDescriptors(refusal(err))
}
