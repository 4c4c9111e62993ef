// Package dashboard serves the dashboard at /ui/: one page with its script and style sheet,
// embedded and compressed, and the sessions of the browsers that have logged in. What the
// page shows it asks of the JSON API beside it, /v1/, with the session's cookie: there is
// no figure here that the API does not have.
//
// The page loads nothing from another host and runs no inline script, and its Content
// Security Policy says so. All addresses are relative, so that everything works under
// whatever prefix a proxy puts in front.
//
// A session begins with a key of the gateway (POST /ui/login) and can do what the key can.
// Its cookie is HttpOnly and SameSite=Strict; changes also need a token in a header, which
// other sites cannot know, and come from the same origin. Sessions live in memory: a
// restart ends them. Handler.Authorize is what the gateway asks about a request that has a
// cookie instead of a key.
//
// The sources of the page are in dashboard/ui; what is embedded is made of them by
// uitest/cmd/bundle, and a test there compares.
package dashboard
