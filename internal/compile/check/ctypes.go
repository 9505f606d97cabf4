package check

import (
	"slices"
	"strings"

	"sonde/internal/compile/types"
)

// languageTypes are the names that the language itself gives to types.
var languageTypes = map[string]*types.Type{
	"bool": types.TBool, "_Bool": types.TBool, "void": types.TNone,
	"int8": types.TInt8, "int16": types.TInt16, "int32": types.TInt32, "int64": types.TInt64,
	"uint8": types.TUint8, "uint16": types.TUint16, "uint32": types.TUint32, "uint64": types.TUint64,
	"min_t": typeMin, "max_t": typeMax, "avg_t": typeAvg, "sum_t": typeSum, "count_t": typeCount, "stats_t": typeStats,
	"umin_t": typeUMin, "umax_t": typeUMax, "uavg_t": typeUAvg, "usum_t": typeUSum,
	"ksym_t": typeKSym, "usym_t": typeUSym, "username_t": typeUsername, "timestamp": typeTimestamp, "timestamp_t": typeTimestamp,
	"mac_address_t": typeMAC, "cgroup_path_t": typeCgroupPath, "macaddr_t": typeMAC,
}

// Types of values that have a kind of their own. Sizes are those of the layouts that package types describes.
var (
	typeCount      = &types.Type{Kind: types.Count, Size: 8}
	typeSum        = &types.Type{Kind: types.Sum, Size: 8, Signed: true}
	typeUSum       = &types.Type{Kind: types.Sum, Size: 8}
	typeMin        = &types.Type{Kind: types.Min, Size: 16, Signed: true}
	typeUMin       = &types.Type{Kind: types.Min, Size: 16}
	typeMax        = &types.Type{Kind: types.Max, Size: 16, Signed: true}
	typeUMax       = &types.Type{Kind: types.Max, Size: 16}
	typeAvg        = &types.Type{Kind: types.Avg, Size: 16, Signed: true}
	typeUAvg       = &types.Type{Kind: types.Avg, Size: 16}
	typeStats      = &types.Type{Kind: types.Stats, Size: 16, Signed: true}
	typeUStats     = &types.Type{Kind: types.Stats, Size: 16}
	typeKSym       = &types.Type{Kind: types.KSym, Size: 8}
	typeUSym       = &types.Type{Kind: types.USym, Size: 16}
	typeInet       = &types.Type{Kind: types.Inet, Size: 24}
	typeMAC        = &types.Type{Kind: types.MAC, Size: 6}
	typeUsername   = &types.Type{Kind: types.Username, Size: 8}
	typeTimestamp  = &types.Type{Kind: types.Timestamp, Size: 16}
	typeCgroupPath = &types.Type{Kind: types.CgroupPath, Size: 16}
)

// cTypes are names that C and every kernel agree on: scripts that use no more than these work without BTF.
var cTypes = map[string]*types.Type{
	"char": types.TInt8, "signed char": types.TInt8, "unsigned char": types.TUint8,
	"short": types.TInt16, "unsigned short": types.TUint16, "int": types.TInt32, "unsigned": types.TUint32,
	"unsigned int": types.TUint32, "signed": types.TInt32, "signed int": types.TInt32,
	"long": types.TInt64, "unsigned long": types.TUint64, "long long": types.TInt64, "unsigned long long": types.TUint64,
	"int8_t": types.TInt8, "int16_t": types.TInt16, "int32_t": types.TInt32, "int64_t": types.TInt64,
	"uint8_t": types.TUint8, "uint16_t": types.TUint16, "uint32_t": types.TUint32, "uint64_t": types.TUint64,
	"s8": types.TInt8, "s16": types.TInt16, "s32": types.TInt32, "s64": types.TInt64,
	"u8": types.TUint8, "u16": types.TUint16, "u32": types.TUint32, "u64": types.TUint64,
	"__s8": types.TInt8, "__s16": types.TInt16, "__s32": types.TInt32, "__s64": types.TInt64,
	"__u8": types.TUint8, "__u16": types.TUint16, "__u32": types.TUint32, "__u64": types.TUint64,
	"__be16": types.TUint16, "__be32": types.TUint32, "__be64": types.TUint64,
	"__le16": types.TUint16, "__le32": types.TUint32, "__le64": types.TUint64,
	"size_t": types.TUint64, "ssize_t": types.TInt64, "uintptr_t": types.TUint64, "intptr_t": types.TInt64,
	"off_t": types.TInt64, "loff_t": types.TInt64, "pid_t": types.TInt32, "uid_t": types.TUint32, "gid_t": types.TUint32,
	"dev_t": types.TUint32, "umode_t": types.TUint16, "mode_t": types.TUint32, "time_t": types.TInt64, "key_t": types.TInt32,
	"sector_t": types.TUint64, "gfp_t": types.TUint32, "clockid_t": types.TInt32, "socklen_t": types.TUint32,
	"sa_family_t": types.TUint16, "in_port_t": types.TUint16, "in_addr_t": types.TUint32,
}

// spelledInt brings the words of a C integer type into the order that cTypes knows: "long unsigned int" is "unsigned long".
func spelledInt(name string) string {
	words := strings.Fields(name)
	if len(words) < 2 {
		return name
	}
	sign, longs, base := "", 0, ""
	for _, w := range words {
		switch w {
		case "unsigned":
			sign = w
		case "signed", "const", "volatile":
		case "long":
			longs++
		case "int":
			if base == "" {
				base = w
			}
		case "short", "char":
			base = w
		default:
			return name
		}
	}
	var out []string
	if sign != "" {
		out = append(out, sign)
	}
	switch {
	case longs > 0:
		out = append(out, slices.Repeat([]string{"long"}, min(longs, 2))...)
	case base != "":
		out = append(out, base)
	}
	return strings.Join(out, " ")
}
