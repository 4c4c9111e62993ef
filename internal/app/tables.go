package app

import (
	"github.com/forebay-ai/forebay/config"
	"github.com/forebay-ai/forebay/monitor"
)

// tables has the monitor ask what the tables cost that gateways share; nil where there are none.
func tables(stores *config.Stores) func() monitor.TablesSample {
	shared := stores.Tables()
	if shared == nil {
		return nil
	}
	return func() monitor.TablesSample {
		pool := shared.Connections()
		s := monitor.TablesSample{Calls: map[string]monitor.TableCalls{}, Connections: pool.Open, Opened: pool.Opened, Reused: pool.Reused}
		for name, u := range shared.Stats() {
			s.Calls[name] = monitor.TableCalls{
				Calls: u.Calls, Throttled: u.Throttled, Failed: u.Errors, ReadUnits: u.Reads, WriteUnits: u.Writes,
			}
		}
		return s
	}
}
