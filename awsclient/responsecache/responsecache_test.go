package responsecache_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/forebay-ai/forebay/awsclient/responsecache"
)

// TestResponseCache is B's example: a response under a key, for a time.
func TestResponseCache(t *testing.T) {
	c, err := responsecache.New(responsecache.Config{MemoryBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	key := responsecache.GenerateKey("chat", "user:123", "hello")
	if _, ok := c.Get(key); ok {
		t.Error("something out of nothing")
	}
	value := []byte(`{"response":"Hello!"}`)
	if !c.Set(key, value, time.Hour) {
		t.Error("not stored")
	}
	value[0] = 'X'
	if got, ok := c.Get(key); !ok || !bytes.Equal(got, []byte(`{"response":"Hello!"}`)) {
		t.Errorf("%q %v", got, ok)
	}
	if _, ok := c.Get(responsecache.GenerateKey("chat", "user:12", "3hello")); ok {
		t.Error("another's answer")
	}
	if c.Set(key, make([]byte, 1<<20), 0) || c.Set(key, nil, -time.Second) || c.Set(key, nil, 365*24*time.Hour) {
		t.Error("taken: too large, or for no time that there is")
	}
	c.Delete(key)
	if _, ok := c.Get(key); ok {
		t.Error("deleted and still there")
	}
	if !c.Set(key, []byte("1"), time.Millisecond) {
		t.Error("not stored")
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, ok := c.Get(key); !ok {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not expire")
		}
	}
	if _, err := responsecache.New(responsecache.Config{TTL: -1}); err == nil {
		t.Error("a negative time to live is taken")
	}
}

// TestGenerateKey: keys of different parts differ, however the parts are cut.
func TestGenerateKey(t *testing.T) {
	seen := map[string][]string{}
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"c", "ab"}, {"a", "b", "c"}, {"\x00"}, {"", "abc"}, {"abc", ""}} {
		key := responsecache.GenerateKey(parts...)
		if other, taken := seen[key]; taken || len(key) != 64 {
			t.Errorf("%q and %q have the key %s", parts, other, key)
		}
		seen[key] = parts
	}
	if key := responsecache.GenerateKey("ab", "c"); seen[key] == nil {
		t.Errorf("the same parts have another key: %s", key)
	}
}
