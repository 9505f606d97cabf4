package doctor

import (
	"encoding/json"
	"io"

	"sonde/internal/kernel"
)

// The JSON form. The keys are a promise to scripts: they are always there, and lists are never null.
type jsonReport struct {
	Type                string              `json:"type"`
	Release             string              `json:"release"`
	Arch                string              `json:"arch"`
	UID                 int                 `json:"uid"`
	Capabilities        []string            `json:"capabilities"`
	CapabilitiesMissing []string            `json:"capabilities_missing"`
	UserNamespace       bool                `json:"user_namespace"`
	Lockdown            kernel.LockdownMode `json:"lockdown"`
	LSMs                []string            `json:"lsm"`
	Tracefs             *string             `json:"tracefs"`
	UnprivilegedBPF     *int                `json:"unprivileged_bpf_disabled"`
	PerfParanoid        *int                `json:"perf_event_paranoid"`
	Features            []jsonFeature       `json:"features"`
	Commands            []Command           `json:"commands"`
}

type jsonFeature struct {
	Feature kernel.Feature `json:"feature"`
	State   string         `json:"state"` // "present", "absent" or "untried"
	Reason  string         `json:"reason"`
	Remedy  string         `json:"remedy"`
}

// WriteJSON writes the report as one object on one line, "type":"doctor" first.
func (r Report) WriteJSON(w io.Writer) error {
	out := jsonReport{
		Type: "doctor", Release: r.Release, Arch: r.Arch, UID: r.UID,
		Capabilities: list(r.Capabilities), CapabilitiesMissing: list(r.Missing), UserNamespace: r.UserNamespace,
		Lockdown: r.Lockdown, LSMs: list(r.LSMs),
		UnprivilegedBPF: r.UnprivilegedBPF, PerfParanoid: r.PerfParanoid,
		Features: make([]jsonFeature, len(r.Features)), Commands: list(r.Commands),
	}
	if r.Tracefs != "" {
		out.Tracefs = &r.Tracefs
	}
	for i, f := range r.Features {
		out.Features[i] = jsonFeature{f.Feature, f.State.String(), f.Reason, f.Remedy}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}

func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
