// JDBC in a play of test_client_matrix.py: see players.py for the acts. Statements prepared on the server from their first use,
// fetch sizes (portals), batches, isValid().
import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.Properties;

public class WithJdbc {
  private static final BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
  private static final String role = System.getenv("ROLE");

  public static void main(String[] arguments) throws Exception {
    try (Connection connection = DriverManager.getConnection(url(), properties());
         PreparedStatement insert = connection.prepareStatement("INSERT INTO entry VALUES (?, ?)");
         PreparedStatement next = connection.prepareStatement("SELECT ?::int + 1")) {
      execute(connection, "SET timezone = 'Asia/Kathmandu'");
      checkSession(connection, next);
      pause("idle");
      require(connection.isValid(30), "the connection is not valid");
      checkSession(connection, next);
      insert(insert, 1);
      transaction(connection, insert);
      insert(insert, 4);
      pause("prepared");
      insert(insert, 5);
      for (int n = 6; n < 26; n++) {
        set(insert, n);
        insert.addBatch();
      }
      require(insert.executeBatch().length == 20, "the batch is not whole");
      checkSession(connection, next);
      pause("busy");
      System.out.println("done " + insertUntilToldToStop(connection, insert));
    }
  }

  private static String url() {
    return "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/"
        + System.getenv("PGDATABASE");
  }

  private static Properties properties() {
    Properties properties = new Properties();
    properties.setProperty("user", System.getenv("PGUSER"));
    properties.setProperty("password", System.getenv("PGPASSWORD"));
    properties.setProperty("sslmode", System.getenv("PGSSLMODE"));
    properties.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
    properties.setProperty("prepareThreshold", "1");
    return properties;
  }

  private static void pause(String name) throws Exception {
    System.out.println("at " + name);
    require("go".equals(input.readLine()), "not told to go on");
  }

  private static void checkSession(Connection connection, PreparedStatement next) throws Exception {
    require(value(connection, "SHOW timezone").equals("Asia/Kathmandu"), "the timezone is another");
    String encrypted = value(connection, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    require(encrypted.equals(System.getenv("SERVER_TLS").equals("on") ? "t" : "f"), "ssl is " + encrypted);
    next.setInt(1, 41);
    try (ResultSet result = next.executeQuery()) {
      require(result.next() && result.getInt(1) == 42, "41 + 1 is not 42");
    }
    expect("22012", () -> value(connection, "SELECT 1 / 0"));
  }

  private static void transaction(Connection connection, PreparedStatement insert) throws Exception {
    connection.setAutoCommit(false);
    insert(insert, 2);
    try (Statement statement = connection.createStatement()) {
      statement.setFetchSize(3);
      try (ResultSet numbers = statement.executeQuery("SELECT n * n FROM generate_series(1, 10) n")) {
        for (int n = 1; n <= 10; n++) {
          require(numbers.next() && numbers.getInt(1) == n * n, "not the square of " + n);
          if (n == 3) pause("transaction");
        }
        require(!numbers.next(), "more than ten rows");
      }
    }
    Savepoint savepoint = connection.setSavepoint();
    expect("23505", () -> insert(insert, 2));
    connection.rollback(savepoint);
    insert(insert, 3);
    require(value(connection, "SELECT string_agg(n::text, ' ' ORDER BY n) FROM entry WHERE role = '" + role + "'")
                .equals("1 2 3"), "not its own three rows");
    connection.commit();
    connection.setAutoCommit(true);
  }

  private static int insertUntilToldToStop(Connection connection, PreparedStatement insert) throws SQLException {
    int n = 25;
    while (!new File(System.getenv("STOP")).exists()) {
      n++;
      connection.setAutoCommit(n % 3 != 0);
      insert(insert, n);
      if (n % 3 == 0) connection.commit();
    }
    return n;
  }

  private static void set(PreparedStatement insert, int n) throws SQLException {
    insert.setString(1, role);
    insert.setInt(2, n);
  }

  private static void insert(PreparedStatement insert, int n) throws SQLException {
    set(insert, n);
    if (insert.executeUpdate() != 1) throw new SQLException("not one row");
  }

  private static void execute(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  private static String value(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement(); ResultSet result = statement.executeQuery(sql)) {
      result.next();
      return result.getString(1);
    }
  }

  private interface Action {
    void run() throws Exception;
  }

  private static void expect(String state, Action action) throws Exception {
    try {
      action.run();
    } catch (SQLException error) {
      if (error.getSQLState().equals(state)) return;
      throw error;
    }
    throw new Exception("no error " + state);
  }

  private static void require(boolean condition, String otherwise) throws Exception {
    if (!condition) throw new Exception(otherwise);
  }
}
