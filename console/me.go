package console

import (
	"net/http"
	"slices"
	"strings"

	"github.com/forebay-ai/forebay/access"
	"github.com/forebay-ai/forebay/gateway"
)

// configuration serves GET /v1/config.
func (c *Console) configuration(v *gateway.Visit) error {
	if _, err := v.Query(nil); err != nil {
		return err
	}
	list := ConfigList{Object: "list", File: c.cfg.File, Data: []ConfigEntry{}}
	if c.cfg.Configuration != nil {
		list.Data = append(list.Data, c.cfg.Configuration()...)
	}
	if !c.seesBudgets(v) {
		list.Data = slices.DeleteFunc(list.Data, func(e ConfigEntry) bool {
			return strings.HasPrefix(e.Key, "keys[") || strings.HasPrefix(e.Key, "budgets.") || strings.HasPrefix(e.Key, "alarms.notifiers.")
		})
	}
	return v.JSON(http.StatusOK, list)
}

// me serves GET /v1/me.
func (c *Console) me(v *gateway.Visit) error {
	if _, err := v.Query(nil); err != nil {
		return err
	}
	s := Session{Key: v.Caller.Name, Tenant: v.Caller.Tenant, Scopes: []string{}, ReadOnly: c.cfg.ReadOnly, Open: c.cfg.Open}
	for _, scope := range access.Scopes() {
		if v.Caller.Allows(scope) {
			s.Scopes = append(s.Scopes, scope)
		}
	}
	if c.cfg.CSRF != nil {
		s.CSRF = c.cfg.CSRF(v.Request)
	}
	return v.JSON(http.StatusOK, s)
}
