export type LogKind = "platform" | "applications";
type D = {
  acknowledged_unix_ms: number | null;
  acknowledged_items: number;
  rejected_items: number;
  state: string;
  problem: { sentence: string; again_unix_ms: number | null; at_unix_ms: number } | null;
};
type Q = { batches: number; items: number; bytes: number; oldest_unix_ms: number | null };
type C = { shared: boolean; at: string; version: number; by: string; announced: boolean } | null;
export type Status = {
  version: string;
  process_id: number;
  started_unix_ms: number;
  taken_unix_ms: number;
  data_dir: string;
  health: string;
  sentence: string;
  collector: { endpoint: string; protocol: string; metrics: D; traces: D; logs: D };
  queue: { metrics: Q; traces: Q; logs: Q };
  logs: { shared: string[] };
  paused_until_unix_ms: number | null;
  consent: { platform: C; applications: C; asked: boolean };
  policy: {
    share_platform_logs: boolean | null;
    share_application_logs: boolean | null;
    allow_pause: boolean;
    autostart: boolean | null;
  };
};
export type Hour = {
  minutes: {
    unix_ms: number;
    cpu: number | null;
    memory: number | null;
    connect_cpu: number | null;
    connect_memory: number | null;
  }[];
  memory_total: number | null;
};
export type Day = {
  states: Record<string, number>;
  apps: Record<string, { focus_seconds: number; switches: number; starts: number }>;
};
export type SentBatch = {
  acknowledged_unix_ms: number;
  items: number;
  bytes: number;
  resource: string[][];
  lines: string[];
  left_out: number;
};
export type Probe = {
  signal: string;
  ok: boolean;
  sentence: string;
  milliseconds: number;
  clock_skew_seconds: number | null;
};
export type SettingLine = { key: string; value: string; origin: string; is_fixed: boolean };
