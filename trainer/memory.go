package trainer

import (
	"os"
	"strconv"
	"strings"
)

// residentBytes returns what of the process is in memory; 0 where the system does
// not tell.
func residentBytes() uint64 {
	// The fields are pages: the size, the resident part, and others.
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(fields[1], 10, 40)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}

// AvailableBytes returns how much memory a process can still take: what the system
// has left, or less where a control group bounds it. It is 0 where nothing tells.
func AvailableBytes() uint64 {
	var free uint64
	if data, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemAvailable:" {
				if kib, err := strconv.ParseUint(f[1], 10, 50); err == nil {
					free = kib << 10
				}
			}
		}
	}
	number := func(path string) (uint64, bool) {
		data, err := os.ReadFile(path)
		if err != nil {
			return 0, false
		}
		n, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 63)
		return n, err == nil // "max" is no number
	}
	for _, group := range [][2]string{
		{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"},
		{"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"},
	} {
		limit, ok := number(group[0])
		used, ok2 := number(group[1])
		if ok && ok2 && limit > used && (free == 0 || limit-used < free) {
			free = limit - used
		}
	}
	return free
}
