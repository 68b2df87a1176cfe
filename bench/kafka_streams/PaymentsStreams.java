import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The bench's work on Kafka Streams, exactly_once_v2, one thread, state in memory with a changelog.
 *
 * The clock runs from the first record to the last one processed: what is left to commit then is at
 * most commit.interval.ms of work, in its favour.
 */
public final class PaymentsStreams {
  private static final int PREFIX_BYTES = 5;
  private static final int EVENT_ID = 9002;
  private static final String STORE = "payments";

  public static void main(String[] arguments) {
    Map<String, String> given = System.getenv();
    long records = Long.parseLong(given.get("RECORDS"));
    Topology topology = new Topology();
    topology.addSource(
        "commands", new ByteArrayDeserializer(), new ByteArrayDeserializer(), given.get("INPUT"));
    topology.addProcessor("handle", () -> new Handler(new Stopwatch(records)), "commands");
    topology.addStateStore(
        Stores.keyValueStoreBuilder(
                Stores.inMemoryKeyValueStore(STORE), Serdes.String(), Serdes.String())
            .withCachingDisabled(),
        "handle");
    topology.addSink(
        "events",
        given.get("NAME") + "-events",
        new ByteArraySerializer(),
        new ByteArraySerializer(),
        "handle");
    new KafkaStreams(topology, settings(given)).start();
  }

  private static Properties settings(Map<String, String> given) {
    Properties chosen = new Properties();
    chosen.put("application.id", given.get("NAME"));
    chosen.put("bootstrap.servers", given.get("BOOTSTRAP"));
    chosen.put("state.dir", given.get("WORK_DIR"));
    chosen.put("processing.guarantee", "exactly_once_v2");
    chosen.put("auto.offset.reset", "earliest");
    chosen.put("num.stream.threads", "1");
    chosen.put("commit.interval.ms", "100");
    chosen.put("replication.factor", "1");
    chosen.put("producer.compression.type", "lz4");
    chosen.put("producer.linger.ms", "5");
    return chosen;
  }

  private static final class Handler implements Processor<byte[], byte[], byte[], byte[]> {
    private final Stopwatch watch;
    private KeyValueStore<String, String> states;
    private ProcessorContext<byte[], byte[]> context;

    Handler(Stopwatch watch) {
      this.watch = watch;
    }

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
      this.context = context;
      this.states = context.getStateStore(STORE);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
      Stopwatch.begin();
      ByteBuffer body = ByteBuffer.wrap(record.value());
      body.position(PREFIX_BYTES);
      String payment = text(body);
      String command = text(body);
      text(body); // kind
      text(body); // merchant_id
      long amount = number(body);
      text(body); // currency
      number(body); // at
      String state = states.get(payment);
      if (state == null || !state.contains(command)) {
        states.put(
            payment,
            "{\"status\":\"new\",\"amount\":"
                + amount
                + ",\"seen\":[\""
                + command
                + "\"],\"v\":1}");
        context.forward(record.withValue(event(payment, amount)));
      }
      watch.count();
    }
  }

  private static final class Stopwatch {
    private static long done;
    private static long beganNanos;
    private static long beganCpuNanos;
    private final long records;

    Stopwatch(long records) {
      this.records = records;
    }

    static void begin() {
      if (beganNanos == 0) {
        beganNanos = System.nanoTime();
        beganCpuNanos = cpuNanos();
      }
    }

    void count() {
      if (++done < records) {
        return;
      }
      double wall = (System.nanoTime() - beganNanos) / 1e9;
      double cpu = (cpuNanos() - beganCpuNanos) / 1e9;
      System.out.println(
          "{\"done\":" + done + ",\"wall_seconds\":" + wall + ",\"cpu_seconds\":" + cpu + "}");
      System.out.flush();
    }

    private static long cpuNanos() {
      return ManagementFactory.getPlatformMXBean(
              com.sun.management.OperatingSystemMXBean.class)
          .getProcessCpuTime();
    }
  }

  private static byte[] event(String payment, long amount) {
    ByteBuffer out = ByteBuffer.allocate(128);
    out.put((byte) 0).putInt(EVENT_ID);
    write(out, payment);
    write(out, "created");
    write(out, 1);
    write(out, amount);
    byte[] made = new byte[out.position()];
    out.flip().get(made);
    return made;
  }

  private static void write(ByteBuffer out, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    write(out, bytes.length);
    out.put(bytes);
  }

  private static void write(ByteBuffer out, long number) {
    long rest = (number << 1) ^ (number >> 63);
    while ((rest & ~0x7FL) != 0) {
      out.put((byte) ((rest & 0x7F) | 0x80));
      rest >>>= 7;
    }
    out.put((byte) rest);
  }

  private static String text(ByteBuffer in) {
    byte[] bytes = new byte[(int) number(in)];
    in.get(bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  private static long number(ByteBuffer in) {
    long found = 0;
    for (int shift = 0; ; shift += 7) {
      byte next = in.get();
      found |= (long) (next & 0x7F) << shift;
      if (next >= 0) {
        return (found >>> 1) ^ -(found & 1);
      }
    }
  }
}
