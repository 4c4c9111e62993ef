package main

import (
	"maps"
	"reflect"
	"slices"

	"github.com/forebay-ai/forebay/cost/prices"
)

// addFamilies gives a row without a date to every family that has dated ones alone: the
// newest one's. Bedrock's ids always have their dates.
func addFamilies(result map[row]prices.Entry) {
	derived := map[row]bool{}
	for _, at := range slices.SortedFunc(maps.Keys(result), compareRows) {
		family, ok := prices.Family(at.model)
		if !ok || at.provider == prices.Bedrock {
			continue
		}
		key := row{at.provider, family, at.scope}
		if _, ok := result[key]; ok && !derived[key] {
			continue
		}
		e := result[at]
		e.Model = family
		derived[key] = true
		result[key] = e
	}
}

// thin leaves out rows that say what a lookup finds without them.
func thin(result map[row]prices.Entry) {
	for _, at := range slices.SortedFunc(maps.Keys(result), compareRows) {
		general := at
		if family, ok := prices.Family(at.model); ok && at.provider != prices.Bedrock {
			general.model = family
		} else if at.scope != "" {
			general.scope = ""
		} else {
			continue
		}
		if e, ok := result[general]; ok && reflect.DeepEqual(e.Tariff, result[at].Tariff) {
			delete(result, at)
		}
	}
}
