package local

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// access is how an engine is reached. It lies in its folder and is kept from one start to the next.
type access struct {
	Port           int    `json:"port"`        // where clients connect
	EnginePort     int    `json:"engine_port"` // where the engine itself listens, see relay
	User           string `json:"user"`
	Password       string `json:"password"`
	ReaderUser     string `json:"reader_user"`
	ReaderPassword string `json:"reader_password"`
	PID            int    `json:"pid"`
}

func loadAccess(dir string) (access, error) {
	data, err := os.ReadFile(filepath.Join(dir, "engine.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return access{User: "bounceline", Password: secret(), ReaderUser: "reader", ReaderPassword: secret()}, nil
	}
	if err != nil {
		return access{}, err
	}
	var a access
	if err := json.Unmarshal(data, &a); err != nil || a.Password == "" || a.ReaderPassword == "" {
		return access{}, fmt.Errorf("%s/engine.json is damaged: remove it, and a new one is made", dir)
	}
	return a, nil
}

// save makes the access known to whoever may read the folder.
func (a access) save(dir string) error {
	data, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, "engine.json.new")
	if err := os.WriteFile(tmp, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, "engine.json"))
}

// pipe returns the reading end of a pipe that holds the access: the engine is not let read engine.json again.
func (a access) pipe() (*os.File, error) {
	data, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	_, err = w.Write(data) // some 300 bytes: a pipe holds more
	return r, errors.Join(err, w.Close())
}

// receiveAccess reads what pipe wrote.
func receiveAccess(descriptor string) (access, error) {
	fd, err := strconv.Atoi(descriptor)
	if err != nil {
		return access{}, fmt.Errorf("%s=%s: %w", handedOver, descriptor, err)
	}
	f := os.NewFile(uintptr(fd), "access")
	defer f.Close()
	var a access
	err = json.NewDecoder(f).Decode(&a)
	return a, err
}

func secret() string {
	var b [24]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func (a access) address() string { return loopback(a.Port) }

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func (a access) dsn(user, password string) string {
	u := url.URL{Scheme: "clickhouse", User: url.UserPassword(user, password), Host: a.address(), Path: "/bounceline"}
	return u.String()
}

// connect returns a connection to the engine that is made when it is first used.
func (a access) connect() (driver.Conn, error) {
	return clickhouse.Open(&clickhouse.Options{Addr: []string{a.address()},
		Auth: clickhouse.Auth{Username: a.User, Password: a.Password}})
}

// waitForInserts returns when no insert runs, or ctx is done.
func waitForInserts(ctx context.Context, a access) {
	db, err := a.connect()
	if err != nil {
		return
	}
	defer db.Close()
	for {
		var n uint64
		err := db.QueryRow(ctx, "SELECT count() FROM system.processes WHERE query_kind = 'Insert'").Scan(&n)
		if err != nil || n == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// mergeTrees are the table engines that our user may create; any other could read or write files and networks.
var mergeTrees = []string{"MergeTree", "ReplacingMergeTree", "SummingMergeTree", "AggregatingMergeTree"}

// writeConfig writes the engine's configuration and users. Parts stay compact, one file for all columns, until they are
// large: each file of a part is synced, and a wide part of an insert has some 130. The user default is the engine's own session: it has no
// password, which the engine asks for, and no right but to open and close the port.
func writeConfig(dir string, a access) error {
	for _, d := range []string{"data", "tmp", "user_files", "format_schemas"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return err
		}
	}
	config := fmt.Sprintf(`<clickhouse>
  <path>%[1]s/data/</path>
  <tmp_path>%[1]s/tmp/</tmp_path>
  <user_files_path>%[1]s/user_files/</user_files_path>
  <format_schema_path>%[1]s/format_schemas/</format_schema_path>
  <users_config>%[1]s/users.xml</users_config>
  <listen_host>127.0.0.1</listen_host>
  <tcp_port>%[2]d</tcp_port>
  <max_server_memory_usage>1073741824</max_server_memory_usage>
  <mark_cache_size>67108864</mark_cache_size>
  <access_control_improvements><select_from_system_db_requires_grant>true</select_from_system_db_requires_grant><table_engines_require_grant>true</table_engines_require_grant></access_control_improvements>
  <merge_tree>
    <fsync_after_insert>1</fsync_after_insert>
    <fsync_part_directory>1</fsync_part_directory>
    <min_rows_to_fsync_after_merge>1</min_rows_to_fsync_after_merge>
    <min_bytes_for_wide_part>268435456</min_bytes_for_wide_part>
    <min_rows_for_wide_part>2000000</min_rows_for_wide_part>
    <min_free_disk_bytes_to_perform_insert>%[3]d</min_free_disk_bytes_to_perform_insert>
  </merge_tree>
</clickhouse>
`, dir, a.EnginePort, floor())
	grants := []string{"GRANT ALL ON bounceline.*", "GRANT CREATE DATABASE ON bounceline.*", "GRANT SELECT ON system.*", "GRANT SELECT ON information_schema.*"}
	for _, e := range mergeTrees {
		grants = append(grants, "GRANT TABLE ENGINE ON "+e)
	}
	users := `<clickhouse>
  <profiles>
    <default/>
    <reader><readonly>2</readonly><max_memory_usage>536870912</max_memory_usage><max_execution_time>120</max_execution_time><max_result_rows>1000000</max_result_rows><result_overflow_mode>break</result_overflow_mode></reader>
  </profiles>
  <quotas><default/></quotas>
  <users>
    <default><password></password><networks><ip>::1</ip></networks><profile>default</profile><quota>default</quota>` +
		grantXML("GRANT SYSTEM LISTEN ON *.*", "GRANT SELECT ON system.numbers") + `</default>
    ` + user(a.User, a.Password, "default", grants...) + `
    ` + user(a.ReaderUser, a.ReaderPassword, "reader", "GRANT SELECT ON bounceline.*", "GRANT SELECT ON system.*", "GRANT SELECT ON information_schema.*") + `
  </users>
</clickhouse>
`
	if err := os.WriteFile(filepath.Join(dir, "config.xml"), []byte(config), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "users.xml"), []byte(users), 0o600)
}

func user(name, password, profile string, grants ...string) string {
	sum := sha256.Sum256([]byte(password))
	return fmt.Sprintf("<%[1]s><password_sha256_hex>%[2]x</password_sha256_hex><networks><ip>127.0.0.1</ip></networks><profile>%[3]s</profile><quota>default</quota>%[4]s</%[1]s>",
		name, sum, profile, grantXML(grants...))
}

func grantXML(grants ...string) string {
	return "<grants><query>" + strings.Join(grants, "</query><query>") + "</query></grants>"
}
