package lambdaapp

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// clockTick is what the kernel counts a process's start in: 100 a second on all Linux
// that Lambda has.
const clockTick = 10 * time.Millisecond

// ProcessStart is when this process began, to 10 ms: before the runtime and the packages
// were initialised. Where the kernel does not tell, it is now.
func ProcessStart() time.Time {
	now := time.Now()
	stat, err := os.ReadFile("/proc/self/stat")
	uptime, err2 := os.ReadFile("/proc/uptime")
	if err != nil || err2 != nil {
		return now
	}
	up, ok := parseUptime(string(uptime))
	at, ok2 := parseStart(string(stat))
	if age := up - at; ok && ok2 && age >= 0 && age < time.Hour {
		return now.Add(-age)
	}
	return now
}

// parseStart reads when the process started, since boot, from /proc/self/stat: the 22nd
// field. The second one is a name in parentheses, which may hold anything.
func parseStart(stat string) (time.Duration, bool) {
	const startField = 22 - 2 // behind the name, counted from 1
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < startField {
		return 0, false
	}
	ticks, err := strconv.ParseInt(fields[startField-1], 10, 64)
	return time.Duration(ticks) * clockTick, err == nil
}

// parseUptime reads the seconds since boot from /proc/uptime.
func parseUptime(text string) (time.Duration, bool) {
	first, _, _ := strings.Cut(text, " ")
	seconds, err := strconv.ParseFloat(first, 64)
	return time.Duration(seconds * float64(time.Second)), err == nil
}

// failTimeout bounds the report of a start that failed.
const failTimeout = 2 * time.Second

// FailInit tells Lambda's runtime API, at address, that the start failed and why, so
// that the fault stands in the function's own error instead of an exit status. It does nothing without
// an address, and its own failure is of no interest: the process ends anyway.
func FailInit(address string, fault error) {
	if address == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), failTimeout)
	defer cancel()
	body, _ := json.Marshal(map[string]string{"errorType": "Forebay.Configuration", "errorMessage": fault.Error()}, json.Deterministic(true))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/2018-06-01/runtime/init/error", bytes.NewReader(body))
	if err != nil {
		return
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Lambda-Runtime-Function-Error-Type", "Forebay.Configuration")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // past any proxy, as the runtime itself
	answer, err := client.Do(r)
	if err != nil {
		return
	}
	_ = answer.Body.Close()
}
