// Replies of the agent, as far as the window reads them. Written by the tests of agent/src/control
// (UPDATE_DOCS=1); do not edit.

export type LogKind = "platform" | "applications";

export type Status = {
  collector: {
    endpoint: string;
    logs: {
      acknowledged_items: number;
      acknowledged_unix_ms: number | null;
      problem: {
        again_unix_ms: number | null;
        at_unix_ms: number;
        sentence: string;
      } | null;
      rejected_items: number;
      state: string;
    };
    metrics: {
      acknowledged_items: number;
      acknowledged_unix_ms: number | null;
      problem: {
        again_unix_ms: number | null;
        at_unix_ms: number;
        sentence: string;
      } | null;
      rejected_items: number;
      state: string;
    };
    protocol: string;
    traces: {
      acknowledged_items: number;
      acknowledged_unix_ms: number | null;
      problem: {
        again_unix_ms: number | null;
        at_unix_ms: number;
        sentence: string;
      } | null;
      rejected_items: number;
      state: string;
    };
  };
  consent: {
    applications: {
      announced: boolean;
      at: string;
      by: string;
      shared: boolean;
      version: number;
    } | null;
    asked: boolean;
    platform: {
      announced: boolean;
      at: string;
      by: string;
      shared: boolean;
      version: number;
    } | null;
  };
  data_dir: string;
  health: string;
  logs: {
    reading: {
      behind_bytes: number;
      files: number;
      problem: null;
      records: number;
      waiting_for_room: boolean;
    };
    shared: string[];
  };
  paused_until_unix_ms: number | null;
  policy: {
    allow_pause: boolean;
    autostart: boolean | null;
    share_application_logs: boolean | null;
    share_platform_logs: boolean | null;
  };
  process_id: number;
  queue: {
    counters: {
      [name: string]: number;
    };
    logs: {
      batches: number;
      bytes: number;
      items: number;
      oldest_unix_ms: number | null;
    };
    metrics: {
      batches: number;
      bytes: number;
      items: number;
      oldest_unix_ms: number | null;
    };
    problems: unknown[];
    set_aside: unknown[];
    traces: {
      batches: number;
      bytes: number;
      items: number;
      oldest_unix_ms: number | null;
    };
  };
  sentence: string;
  started_unix_ms: number;
  taken_unix_ms: number;
  version: string;
};

export type Hour = {
  memory_total: number | null;
  minutes: {
    connect_cpu: number | null;
    connect_memory: number | null;
    cpu: number | null;
    memory: number | null;
    unix_ms: number;
  }[];
};

export type Day = {
  apps: {
    [name: string]: {
      focus_seconds: number;
      starts: number;
      switches: number;
    };
  };
  states: {
    [name: string]: number;
  };
};

export type SentBatch = {
  acknowledged_unix_ms: number;
  bytes: number;
  items: number;
  left_out: number;
  lines: string[];
  resource: string[][];
};

export type Probe = {
  clock_skew_seconds: number | null;
  milliseconds: number;
  ok: boolean;
  sentence: string;
  signal: string;
};

export type SettingLine = {
  is_fixed: boolean;
  key: string;
  origin: string;
  value: string;
};
