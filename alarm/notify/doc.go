// Package notify brings the notices of package alarm to people: to the log, to a signed
// webhook, to Slack and by e-mail.
//
// A notifier makes one attempt, within a time, and says what came of it. The Dispatcher
// does the rest: each notifier has a queue and a goroutine of its own, so that one that
// is broken delays no other; what fails is tried again with growing, random pauses until
// it is too old; what has no room pushes out the oldest, and is counted. Nothing that
// sends a notice ever waits for a receiver.
//
// Notices are kept in memory alone. After a restart the alarms that still fire are sent
// by whoever evaluates them, not from here.
//
// An error that reaches a log or a status never has a secret in it: not a webhook's
// address, of which the path often is the secret, and not a password. What a notice says
// was partly written by others (models' names, providers' messages), and is escaped for
// the place where it is shown.
package notify
