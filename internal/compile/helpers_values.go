package compile

// Numbers of the helpers that give expressions their values.
const (
	fnProbeRead          = 4
	fnKtimeNS            = 5
	fnPrandomU32         = 7
	fnUIDGID             = 15
	fnComm               = 16
	fnCurrentTask        = 35
	fnNumaNodeID         = 42
	fnProbeReadStr       = 45
	fnGetStack           = 67
	fnCurrentCgroupID    = 80
	fnSendSignal         = 109
	fnProbeReadUser      = 112
	fnProbeReadKernel    = 113
	fnProbeReadUserStr   = 114
	fnProbeReadKernelStr = 115
	fnSendSignalThread   = 117
	fnJiffies64          = 118
	fnKtimeBootNS        = 125
	fnCurrentTaskBTF     = 158
	fnGetFuncIP          = 173
	fnGetAttachCookie    = 174
	fnFindVMA            = 180
	fnKtimeTAINS         = 208
)
