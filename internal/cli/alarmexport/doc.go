// Package alarmexport has the command "forebay alarms export": it prints the alarms of a
// configuration in the words of systems that judge them too. It only prints; nothing is made in an account.
package alarmexport
