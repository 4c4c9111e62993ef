package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/forebay-ai/forebay/fleet"
)

const (
	fleetPartition = "fleet"
	memberEntry    = "m#"
	grantsEntry    = "grants"
	newsPartition  = "news#"

	// memberLife is when an item of a member that nobody removed goes, and newsLife that of its news.
	memberLife = 24 * time.Hour
	newsLife   = 2 * time.Hour
	// newsPart is how much of news goes into one item, in bytes.
	newsPart = 300 << 10
)

// Control is where gateways meet. It implements fleet.Store. All methods may be called concurrently, by any number of processes.
//
// A beat costs a write unit, and a read unit for each 4 KB of what all members tell: some twenty gateways with twenty targets. With
// one beat a second that is 86,400 write units a day for each gateway. A change of the grants costs a write unit for each KB of
// them, news one for each KB and a read unit for each gateway that hears them.
type Control struct {
	conn  *conn
	table string
}

var _ fleet.Store = (*Control)(nil)

// Control returns the place where gateways meet, or nil where the table is not configured.
func (s *Store) Control() *Control {
	if s.cfg.Control == "" {
		return nil
	}
	return &Control{conn: s.conn, table: s.cfg.Control}
}

func itemKey(pk, sk string) item { return item{"pk": str(pk), "sk": str(sk)} }

// pages queries all pages.
func (c *conn) pages(ctx context.Context, op string, in *dynamodb.QueryInput, see func(item) error) error {
	for {
		out, err := c.query(ctx, op, in)
		if err != nil {
			return err
		}
		for _, it := range out.Items {
			if err := see(it); err != nil {
				return err
			}
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
			return nil
		}
	}
}

// partition asks for the items of a partition whose second key begins with prefix, consistently.
func partition(table, pk, prefix string) *dynamodb.QueryInput {
	var e expression
	condition := e.n("pk") + " = " + e.v("pk", str(pk))
	if prefix != "" {
		condition += " AND begins_with(" + e.n("sk") + ", " + e.v("sk", str(prefix)) + ")"
	}
	return &dynamodb.QueryInput{
		TableName: &table, KeyConditionExpression: &condition, ConsistentRead: yes(),
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	}
}

// between asks for the items of a partition from one second key to another, both included, consistently.
func between(table, pk, from, to string) *dynamodb.QueryInput {
	var e expression
	condition := e.n("pk") + " = " + e.v("pk", str(pk)) + " AND " + e.n("sk") + " BETWEEN " + e.v("from", str(from)) + " AND " + e.v("to", str(to))
	return &dynamodb.QueryInput{
		TableName: &table, KeyConditionExpression: &condition, ConsistentRead: yes(),
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	}
}

// told is what members tell beside numbers.
type told struct {
	Place  string             `json:"place,omitempty"`
	Demand map[string]float64 `json:"demand,omitempty"`
	Open   []string           `json:"open,omitempty"`
	Left   bool               `json:"left,omitempty"`
}

// Beat implements fleet.Store.
func (c *Control) Beat(ctx context.Context, m fleet.Member) (fleet.State, error) {
	text, err := json.Marshal(told{Place: m.Place, Demand: m.Demand, Open: m.Open, Left: m.Left})
	if err != nil {
		return fleet.State{}, fmt.Errorf("dynamo: beat: %w", err)
	}
	it := itemKey(fleetPartition, memberEntry+m.ID)
	it["beat"], it["news"], it["told"] = unsigned(m.Beat), unsigned(m.News), str(string(text))
	it[TTLAttribute] = num(time.Now().Add(memberLife).Unix())
	if _, err := c.conn.put(ctx, "fleet.beat", &dynamodb.PutItemInput{TableName: &c.table, Item: it}); err != nil {
		return fleet.State{}, fmt.Errorf("dynamo: beat: %w", err)
	}
	var s fleet.State
	now := time.Now()
	err = c.conn.pages(ctx, "fleet.beat", partition(c.table, fleetPartition, ""), func(it item) error {
		if expired(it, TTLAttribute, now) {
			return nil
		}
		return readFleet(&s, it)
	})
	if err != nil {
		return fleet.State{}, fmt.Errorf("dynamo: beat: %w", err)
	}
	return s, nil
}

// readFleet reads a member or the grants.
func readFleet(s *fleet.State, it item) error {
	sk, _ := text(it, "sk")
	if sk == grantsEntry {
		of, _ := text(it, "of")
		s.Grants.Version = natural(it, "version")
		return json.Unmarshal([]byte(of), &s.Grants.Of)
	}
	var t told
	tells, _ := text(it, "told")
	if err := json.Unmarshal([]byte(tells), &t); err != nil {
		return err
	}
	s.Members = append(s.Members, fleet.Member{
		ID: sk[min(len(sk), len(memberEntry)):], Beat: natural(it, "beat"), News: natural(it, "news"), Place: t.Place, Demand: t.Demand, Open: t.Open, Left: t.Left,
	})
	return nil
}

// Grant implements fleet.Store.
func (c *Control) Grant(ctx context.Context, g fleet.Grants) error {
	of, err := json.Marshal(g.Of)
	if err != nil {
		return fmt.Errorf("dynamo: grant: %w", err)
	}
	if g.Version == 0 {
		return fleet.ErrChanged
	}
	it := itemKey(fleetPartition, grantsEntry)
	it["version"], it["of"] = unsigned(g.Version), str(string(of))
	var e expression
	condition := e.n("version") + " = " + e.v("seen", unsigned(g.Version-1))
	if g.Version == 1 {
		condition = "attribute_not_exists(" + e.n("version") + ")"
		e.values = nil
	}
	_, err = c.conn.put(ctx, "fleet.grant", &dynamodb.PutItemInput{
		TableName: &c.table, Item: it, ConditionExpression: &condition, ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	})
	if conditionFailed(err) {
		return fleet.ErrChanged
	}
	if err != nil {
		return fmt.Errorf("dynamo: grant: %w", err)
	}
	return nil
}

func newsKey(number uint64, part int) string { return fmt.Sprintf("%020d#%06d", number, part) }

// Tell implements fleet.Store. News that do not fit into one item are split; who hears of their number finds all parts.
func (c *Control) Tell(ctx context.Context, id string, n fleet.News) error {
	var requests []types.WriteRequest
	add := func(part []byte) {
		it := itemKey(newsPartition+id, newsKey(n.Number, len(requests)))
		it["number"], it["at"], it["spent"] = unsigned(n.Number), instant(n.At), str(string(part))
		it[TTLAttribute] = num(time.Now().Add(newsLife).Unix())
		requests = append(requests, types.WriteRequest{PutRequest: &types.PutRequest{Item: it}})
	}
	part := []byte{'['}
	for i := range n.Spent {
		one, err := json.Marshal(n.Spent[i])
		if err != nil {
			return fmt.Errorf("dynamo: tell: %w", err)
		}
		if len(part) > 1 {
			if len(part)+len(one) > newsPart {
				add(append(part, ']'))
				part = []byte{'['}
			} else {
				part = append(part, ',')
			}
		}
		part = append(part, one...)
	}
	add(append(part, ']'))
	if err := c.conn.batchWrite(ctx, "fleet.tell", c.table, requests); err != nil {
		return fmt.Errorf("dynamo: tell: %w", err)
	}
	return nil
}

// Told implements fleet.Store.
func (c *Control) Told(ctx context.Context, id string, after uint64) (all []fleet.News, err error) {
	if after == math.MaxUint64 {
		return nil, ctx.Err()
	}
	in := between(c.table, newsPartition+id, newsKey(after+1, 0), newsKey(math.MaxUint64, 999_999))
	err = c.conn.pages(ctx, "fleet.told", in, func(it item) error {
		number := natural(it, "number")
		if len(all) == 0 || all[len(all)-1].Number != number {
			n := fleet.News{Number: number}
			if it["at"] != nil { // news of older versions have none
				if n.At, err = instantOf(it, "at"); err != nil {
					return err
				}
			}
			all = append(all, n)
		}
		spent, _ := text(it, "spent")
		var part []fleet.Spending
		if err := json.Unmarshal([]byte(spent), &part); err != nil {
			return errors.Join(errForm, err)
		}
		n := &all[len(all)-1]
		n.Spent = append(n.Spent, part...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("dynamo: hear the news: %w", err)
	}
	return all, nil
}

// Leave implements fleet.Store. Its cost is that of the news of two hours at most.
func (c *Control) Leave(ctx context.Context, id string) error {
	requests := []types.WriteRequest{{DeleteRequest: &types.DeleteRequest{Key: itemKey(fleetPartition, memberEntry+id)}}}
	err := c.conn.pages(ctx, "fleet.leave", partition(c.table, newsPartition+id, ""), func(it item) error {
		requests = append(requests, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: item{"pk": it["pk"], "sk": it["sk"]}}})
		return nil
	})
	if err == nil {
		err = c.conn.batchWrite(ctx, "fleet.leave", c.table, requests)
	}
	if err != nil {
		return fmt.Errorf("dynamo: leave: %w", err)
	}
	return nil
}
