// go-systemd's SdNotify() and SdWatchdogEnabled() with notify() and watchdogEnabled() behind them.
package daemon

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"time"
)

const (
	SdNotifyReady     = "READY=1"
	SdNotifyStopping  = "STOPPING=1"
	SdNotifyReloading = "RELOADING=1"
	SdNotifyWatchdog  = "WATCHDOG=1"
)

const program = `
const [call, argument] = process.argv.slice(1);
import(process.env.LISTENFDS_DIST).then((library) => {
  const value = call === 'notify' ? library.notify(argument) : library.watchdogEnabled({ pid: Number(argument) });
  console.log(JSON.stringify(value));
}).catch((error) => { console.error(error); process.exit(1); })`

func ask(value any, unset bool, variables []string, call string, argument string) error {
	out, err := exec.Command("node", "--eval", program, "--", call, argument).Output()
	if unset {
		for _, name := range variables {
			os.Unsetenv(name)
		}
	}
	if err != nil {
		return errors.New(err.Error())
	}
	return json.Unmarshal(out, value)
}

func SdNotify(unsetEnvironment bool, state string) (sent bool, err error) {
	err = ask(&sent, unsetEnvironment, []string{"NOTIFY_SOCKET"}, "notify", state)
	return sent, err
}

func SdWatchdogEnabled(unsetEnvironment bool) (time.Duration, error) {
	var ms *float64
	names := []string{"WATCHDOG_USEC", "WATCHDOG_PID"}
	err := ask(&ms, unsetEnvironment, names, "watchdog", strconv.Itoa(os.Getpid()))
	if err != nil || ms == nil {
		return 0, err
	}
	return time.Duration(*ms * float64(time.Millisecond)), nil
}
