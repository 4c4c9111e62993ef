package bedrock

import (
	"slices"
	"strings"
)

// Residency is the area that data of calls to model from region does not leave, as AWS
// describes its inference profiles: eu, us, us-gov, jp, au or apac. It is empty where that
// is not known, or no area: for global profiles, for ids that are ARNs, for an empty model,
// for a profile of another area than the region's, and for regions that are in none of these
// areas. London and Zurich are not in the European Union.
func Residency(region, model string) string {
	profile, _, _ := strings.Cut(model, ".")
	switch profile {
	case "eu", "us", "us-gov", "jp", "au", "apac":
		if slices.Contains(areas(region), profile) {
			return profile
		}
		return ""
	case "global", "":
		return ""
	}
	// Without a profile a call stays in its region. Ids begin with the maker's name; one of
	// two letters is the profile of an area that is not known here.
	if strings.Contains(model, ":bedrock:") || len(profile) <= 2 || len(areas(region)) == 0 {
		return ""
	}
	return areas(region)[0]
}

// areas are those that a region is in, the smallest first.
func areas(region string) []string {
	switch region {
	case "eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3":
		return []string{"eu"}
	case "ap-northeast-1", "ap-northeast-3":
		return []string{"jp", "apac"}
	case "ap-southeast-2", "ap-southeast-4":
		return []string{"au", "apac"}
	}
	for prefix, area := range map[string]string{"us-gov-": "us-gov", "us-east-": "us", "us-west-": "us", "ap-": "apac", "eusc-": "eu"} {
		if strings.HasPrefix(region, prefix) {
			return []string{area}
		}
	}
	return nil
}
