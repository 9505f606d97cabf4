package cli

// atStage is for tests: it is called at the stages of a run between which the processes that are to be traced may change: when
// the places for its probes are found, when the programs are loaded, when the first probe is about to go on, when all are on.
var atStage func(stage string)

const (
	stageFound   = "found"
	stageLoaded  = "loaded"
	stageProbing = "probing"
	stageProbed  = "probed"
)

func reached(stage string) {
	if atStage != nil {
		atStage(stage)
	}
}
