// Package alarm watches measurements and says when something is wrong: definitions, the
// states that they are in, silences, groups, history. It is pure: an Engine is given the
// time and a Source of measurements, and answers with the notices that are due. Who sends
// them stands elsewhere.
//
// A Definition names what is measured and against what: "more than 5 % of the requests of
// two minutes failed". Profile has those that are shipped, Merge changes them. The Engine
// judges each one every few seconds, and keeps a state for each value of its label. A state
// changes when M of the last N judgements say so, and changes back when none of N does.
//
// What is sent is not the changes but the difference between what is wrong and what was
// said: at the end of a group's time the Engine compares the alarms that fire with those
// that were announced, and tells both sides of the difference. So nothing is announced
// twice, nothing is resolved that was not announced, and a silence or a restart in between
// loses nothing.
package alarm
