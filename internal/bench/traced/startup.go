package traced

import (
	"errors"
	"time"

	"sonde/internal/bench/measure"
)

// Marker does marked calls from Mark until Rest.
type Marker interface {
	Mark(tag string) error
	Rest() error
}

// Startup is what it took a tool to get going, and to end.
type Startup struct {
	First time.Duration // from before the fork of the tool until its first record was read
	CPU   time.Duration // the tool's CPU time until then
	Peak  int64         // bytes resident, when it had come to rest
	Stop  time.Duration // from SIGINT to its end
}

// settling lets a tool come to rest after its first record.
const settling = 150 * time.Millisecond

// Up starts a tool while marked calls go on, waits for its first record, and stops it.
func Up(c Command, marker Marker, tag string, within time.Duration) (up Startup, err error) {
	if err := marker.Mark(tag); err != nil {
		return Startup{}, err
	}
	marking := true
	rest := func() error {
		if !marking {
			return nil
		}
		marking = false
		return marker.Rest()
	}
	defer func() { err = errors.Join(err, rest()) }()
	s, err := Start(c, tag)
	if err != nil {
		return Startup{}, err
	}
	defer s.Kill()
	first, err := s.First(within)
	if err != nil {
		return Startup{}, err
	}
	up.First = first.Sub(s.Started)
	if up.CPU, err = measure.CPUTime(s.PID); err != nil {
		return Startup{}, err
	}
	if err := rest(); err != nil {
		return Startup{}, err
	}
	time.Sleep(settling)
	if up.Peak, err = measure.PeakRSS(s.PID); err != nil {
		return Startup{}, err
	}
	up.Stop, err = s.Stop()
	return up, err
}
