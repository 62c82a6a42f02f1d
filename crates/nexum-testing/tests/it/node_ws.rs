use futures_util::{SinkExt as _, StreamExt as _};
use nexum_testing::{Answer, Block, Node};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn connect(node: &Node) -> Self {
        Self(connect_async(node.ws_url()).await.unwrap().0)
    }

    async fn send(&mut self, method: &str, params: Value) {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.0.send(Message::Text(request.to_string().into())).await.unwrap();
    }

    /// The next message as text; `None` once the connection is closed.
    async fn text(&mut self) -> Option<String> {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => Some(text.to_string()),
            _ => None,
        }
    }

    async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await.expect("an open connection")).unwrap()
    }

    async fn subscribe(&mut self) -> Value {
        self.send("eth_subscribe", json!(["newHeads"])).await;
        self.json().await["result"].clone()
    }

    async fn expect_head(&mut self, block: &Block) {
        assert_eq!(self.json().await["params"]["result"], block.to_json());
    }
}

#[tokio::test]
async fn announces_mined_and_reorganised_blocks_to_subscribers() {
    let node = Node::start().await;
    let mut client = Client::connect(&node).await;
    node.mine(1);
    let id = client.subscribe().await;
    node.until(|node| node.subscribers() == 1).await;

    let mined = node.mine(2);
    client.expect_head(&mined[0]).await;
    client.expect_head(&mined[1]).await;
    node.mine_unannounced(1);
    client.expect_head(&node.reorg(2, 1)[0]).await;

    client.send("eth_unsubscribe", json!([id])).await;
    assert_eq!(client.json().await["result"], true);
    assert_eq!(node.subscribers(), 0);
}

#[tokio::test]
async fn an_unanswered_call_does_not_hold_up_the_next() {
    let node = Node::start().await;
    let mut client = Client::connect(&node).await;
    node.once("eth_blockNumber", Answer::Hang);
    client.send("eth_blockNumber", json!([])).await;
    client.send("eth_chainId", json!([])).await;
    assert_eq!(client.json().await["result"], "0xaa36a7");
}

#[tokio::test]
async fn closes_connections_when_told_and_takes_new_ones() {
    let node = Node::start().await;
    let mut client = Client::connect(&node).await;
    client.subscribe().await;
    node.drop_connections();
    assert_eq!(client.text().await, None);
    node.until(|node| node.subscribers() == 0).await;

    let mut client = Client::connect(&node).await;
    client.subscribe().await;
    node.once("m", Answer::Drop);
    client.send("m", json!([])).await;
    assert_eq!(client.text().await, None);
    assert_eq!(node.ws_connections(), 2);
}
